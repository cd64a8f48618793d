/**
 * Where log lines go in the real world: standard error, standard output, files that begin anew when they are full. Lines
 * are written before the call returns, so that the last one before a crash is there. Beside real.ts, for the roots alone.
 */
import { closeSync, fstatSync, openSync, readdirSync, renameSync, statSync, unlinkSync, writeSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

export interface LogOutput {
  /** A whole line, its end included. */
  write(line: string): void;
}

/** Standard error or standard output. A reader that has gone away does not end the process. */
export function streamOutput(descriptor: 1 | 2): LogOutput {
  return { write: (line) => writeAll(descriptor, line) };
}

export interface Rotation {
  readonly bytesMax: number;
  /** Older files go; 0 = none does. */
  readonly ageMsMax: number;
  /** As many old files stay; 0 = all. */
  readonly filesMax: number;
  /** Stamps in names of old files are of the local time, not of UTC. */
  readonly isLocalTime: boolean;
}

/** Appends to a file. Throws when it cannot be opened. */
export function fileOutput(path: string, nowMs: () => number, rotation?: Rotation): LogOutput {
  let descriptor = openSync(path, 'a', 0o600);
  let bytes = fstatSync(descriptor).size;
  return {
    write(line) {
      const length = Buffer.byteLength(line);
      if (rotation && bytes > 0 && bytes + length > rotation.bytesMax) {
        closeSync(descriptor);
        renameSync(path, oldName(path, nowMs(), rotation.isLocalTime));
        descriptor = openSync(path, 'a', 0o600);
        bytes = 0;
        removeOld(path, nowMs(), rotation);
      }
      bytes += length;
      writeAll(descriptor, line);
    },
  };
}

/** How long a full pipe is given before it is tried again. */
const pauseMs = 5;
const pause = new Int32Array(new SharedArrayBuffer(4));

function writeAll(descriptor: number, line: string): void {
  const bytes = Buffer.from(line);
  let written = 0;
  while (written < bytes.length) {
    try {
      written += writeSync(descriptor, bytes, written);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      // A full pipe takes more in a moment; whoever has closed it, or a full disk, gets no more lines.
      if (code !== 'EAGAIN') return;
      Atomics.wait(pause, 0, 0, pauseMs);
    }
  }
}

/** `store.log` becomes `store-2026-01-31T10-20-30.400.log`. */
function oldName(path: string, nowMs: number, isLocalTime: boolean): string {
  const offsetMs = isLocalTime ? new Date(nowMs).getTimezoneOffset() * -60_000 : 0;
  const stamp = new Date(nowMs + offsetMs).toISOString().replaceAll(':', '-').replace('Z', '');
  const dot = basename(path).lastIndexOf('.');
  const ending = dot > 0 ? basename(path).slice(dot) : '';
  return `${path.slice(0, path.length - ending.length)}-${stamp}${ending}`;
}

function removeOld(path: string, nowMs: number, { ageMsMax, filesMax }: Rotation): void {
  const dot = basename(path).lastIndexOf('.');
  const [start, ending] = dot > 0 ? [basename(path).slice(0, dot), basename(path).slice(dot)] : [basename(path), ''];
  const old = readdirSync(dirname(path))
    .filter((name) => name.startsWith(`${start}-`) && name.endsWith(ending) && /-\d{4}-\d\d-\d\dT/.test(name))
    .sort()
    .reverse();
  old.forEach((name, index) => {
    const file = join(dirname(path), name);
    const isTooMany = filesMax > 0 && index >= filesMax;
    const isTooOld = ageMsMax > 0 && nowMs - statSync(file).mtimeMs > ageMsMax;
    if (isTooMany || isTooOld) unlinkSync(file);
  });
}
