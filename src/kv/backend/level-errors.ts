/** LevelDB's failures as errors that say what to do. */
import { errorText, KeelsonError } from '../../env/errors.ts';

/** Why an open database can no longer be used. */
export function useError(directory: string, action: string, cause: unknown): KeelsonError {
  if (isCorruption(cause)) return corruptError(directory, cause);
  return new KeelsonError(
    'BACKEND_FAILED',
    `cannot ${action} the database in ${directory}: ${errorText(cause)}; check the disk and its free space, then start again`,
    { cause },
  );
}

export function newerVersion(directory: string, version: number, known: number): KeelsonError {
  return new KeelsonError(
    'DATA_NEWER_VERSION',
    `open the database in ${directory}: its rows have format version ${version}, this program knows up to ${known}: ` +
      'start the newer Keelson that wrote it, or restore a backup made before the upgrade',
  );
}

/** Why a database could not be opened. */
export function openError(directory: string, error: unknown): KeelsonError {
  if (error instanceof KeelsonError && error.code === 'DATA_NEWER_VERSION') return error;
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
  if (isCorruption(cause)) return corruptError(directory, cause);
  if (codeOf(cause) === 'LEVEL_LOCKED') {
    return new KeelsonError(
      'BACKEND_LOCKED',
      `cannot open the database in ${directory}: another process has it open; stop that process or choose another data directory`,
      { cause },
    );
  }
  return new KeelsonError(
    'BACKEND_FAILED',
    `cannot open the database in ${directory}: ${errorText(cause)}; check that the directory can be written and the disk has space`,
    { cause },
  );
}

function corruptError(directory: string, cause: unknown): KeelsonError {
  return new KeelsonError(
    'BACKEND_CORRUPT',
    `the database in ${directory} is damaged: ${errorText(cause)}; start again: it is set aside and rebuilt from the snapshot and the log`,
    { cause },
  );
}

/** Whether an error says that what is on disk is not what was written. */
export function isDamage(error: unknown): boolean {
  return error instanceof KeelsonError && error.code === 'BACKEND_CORRUPT';
}

function isCorruption(cause: unknown): boolean {
  // The text alone would not do: it names the directory, which may be called anything.
  return isDamage(cause) || codeOf(cause) === 'LEVEL_CORRUPTION' || errorText(cause).startsWith('Corruption:');
}

function codeOf(cause: unknown): unknown {
  return typeof cause === 'object' && cause !== null && 'code' in cause ? cause.code : undefined;
}
