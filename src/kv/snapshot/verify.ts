/**
 * Checks a data directory of a member that does not run, from its files and from a copy of them; touches nothing. Every
 * problem is one line: what, where, and what it means. Notes are worth knowing and no damage.
 */
import { InvariantViolation } from '../../env/assert.ts';
import type { Disk } from '../../env/disk.ts';
import { errorText, KeelsonError } from '../../env/errors.ts';
import { readTextIfAny } from '../../env/files.ts';
import { readWal } from '../../raft/wal/read-wal.ts';
import type { LeaseId } from '../api.ts';
import { allRowsFrom, allRowsTo, isRevisionRow, RowReader } from '../apply/meta-rows.ts';
import { toText } from '../backend/bytes.ts';
import type { Backend } from '../backend/contract.ts';
import { decodeRevision } from '../mvcc/revision.ts';
import { decodeRow, isTombstone } from '../mvcc/row.ts';
import { lockDataDirectory, type MemberFile, readMemberFile } from '../server/data-directory.ts';
import { copyDirectory } from './copy-directory.ts';
import { HistoryCheck } from './history-check.ts';
import { openOffline, type OfflineOptions } from './offline.ts';

export interface Finding {
  readonly kind: 'problem' | 'note';
  readonly text: string;
}

/** Everything that is found, as it is found. Rejects only when the directory cannot be looked at at all. */
export async function* verifyDirectory(options: OfflineOptions): AsyncGenerator<Finding> {
  const { directory, env } = options;
  const file = await readMemberFile(env.disk, directory);
  if (file === undefined) {
    throw new KeelsonError('DATA_MISSING', `verify ${directory}: it holds no member: check the path`);
  }
  yield note(`member ${file.memberId.toString(16)} of cluster ${file.clusterId.toString(16)}`);
  // Nobody may be writing what is read; a directory that was never locked has never been used.
  const lock = (await env.disk.exists(`${directory}/LOCK`)) ? await lockDataDirectory(env.disk, directory) : undefined;
  try {
    yield* verifyLog(env.disk, options.logDirectory ?? `${directory}/raft`, file);
    if (file.isWitness !== true) yield* verifyRows(options);
  } finally {
    await lock?.release();
  }
  if (file.isWitness === true) return yield note('it is a witness: it keeps no data');
  yield* verifyTogether(options);
}

async function* verifyLog(disk: Disk, logDirectory: string, file: MemberFile): AsyncGenerator<Finding> {
  let records = 0;
  let snapshots = 0;
  const hex = (id: number) => id.toString(16).padStart(16, '0');
  for await (const item of readWal(disk, logDirectory)) {
    if (item.kind === 'damage') {
      const text = `log ${item.segment} at offset ${item.offset}: ${item.reason}`;
      yield item.isTornTail ? note(`${text}: a write was cut off there; the next start cuts it`) : problem(text);
    } else if (item.kind === 'snapshot') {
      snapshots += 1;
      if (!item.isWhole) yield problem(`raft snapshot ${item.path}: ${item.text}`);
    } else {
      records += 1;
      const { identity } = item;
      if (identity && (identity.clusterId !== hex(file.clusterId) || identity.memberId !== hex(file.memberId))) {
        yield problem(
          `log ${item.segment} belongs to member ${identity.memberId} of cluster ${identity.clusterId}, member.json says otherwise`,
        );
      }
    }
  }
  if (records === 0) yield problem(`there is no log in ${logDirectory}`);
  else yield note(`the log has ${records} records and ${snapshots} snapshots`);
}

/** The backend's rows by themselves, read from a copy because LevelDB writes when it is opened. */
async function* verifyRows(options: OfflineOptions): AsyncGenerator<Finding> {
  const { directory, scratch, env } = options;
  if (!(await env.disk.exists(`${directory}/kv`))) {
    yield problem(`there are no rows in ${directory}/kv`);
    return;
  }
  const damage = await readTextIfAny(env.disk, `${directory}/kv.damaged`);
  if (damage !== undefined) yield problem(`rows in ${directory}/kv were found damaged while in use: ${damage}`);
  await env.disk.makeDirectory(scratch);
  try {
    await copyDirectory(env.disk, `${directory}/kv`, `${scratch}/kv`);
    const backend = await options.openBackend(`${scratch}/kv`);
    try {
      yield* checkRows(backend);
    } finally {
      await backend.close();
    }
  } catch (error) {
    if (!(error instanceof KeelsonError)) throw error;
    yield problem(`rows in ${directory}/kv: ${errorText(error)}`);
  } finally {
    await env.disk.remove(scratch);
  }
}

async function* checkRows(backend: Backend): AsyncGenerator<Finding> {
  const reader = new RowReader();
  let check: HistoryCheck | undefined;
  for await (const [key, value] of backend.scan(allRowsFrom, allRowsTo)) {
    const isRevision = isRevisionRow(key);
    // The compacted revision comes before the revisions in the order of keys.
    if (isRevision) check ??= new HistoryCheck(reader.state().compactRevision);
    const found = isRevision && check ? checkRevision(check, key, value) : checkOther(reader, key, value);
    if (found !== undefined) yield problem(`row ${printable(key)}: ${found}`);
  }
  const state = reader.state();
  check ??= new HistoryCheck(state.compactRevision);
  if (state.applied === undefined) {
    yield problem('the rows do not say how far they go: a restore was cut off; the next start begins it anew');
    return;
  }
  if (check.revision() !== state.applied.revision) {
    yield problem(`the rows end at revision ${check.revision()}, they say that they end at ${state.applied.revision}`);
  }
  const leases = new Set<LeaseId>(state.leases.map((lease) => lease.id));
  for (const { main, sub } of check.keysWithoutLease(leases)) {
    yield problem(`the key written at revision ${main}.${sub} has a lease that is not there`);
  }
  yield note(
    `the rows hold revision ${state.applied.revision} as of entry ${state.applied.index}, compacted at ${state.compactRevision}: ${check.keys()} keys in ${check.rows()} versions, ${state.leases.length} leases, ${state.members.length} members, ${state.auth.users.length} users`,
  );
}

/** What a damaged row breaks is an assertion of whoever decodes it: here that is a finding. */
function attempt(action: () => string | undefined): string | undefined {
  try {
    return action();
  } catch (error) {
    if (error instanceof InvariantViolation || error instanceof SyntaxError || error instanceof RangeError) {
      return errorText(error);
    }
    throw error;
  }
}

function checkRevision(check: HistoryCheck, key: Uint8Array, value: Uint8Array): string | undefined {
  return attempt(() => {
    const { main, sub } = decodeRevision(key);
    const kv = decodeRow(value, main);
    const { createRevision, version, lease } = kv;
    return check.add({
      main,
      sub,
      isTombstone: isTombstone(value),
      key: toText(kv.key),
      createRevision,
      version,
      lease,
    });
  });
}

function checkOther(reader: RowReader, key: Uint8Array, value: Uint8Array): string | undefined {
  return attempt(() => {
    reader.add(key, value);
    return undefined;
  });
}

/** Log and rows as a start would put them together. */
async function* verifyTogether(options: OfflineOptions): AsyncGenerator<Finding> {
  try {
    const member = await openOffline(options);
    try {
      const { kv, lastIndex, lastTerm, uncommitted } = member;
      yield note(
        `state and log fit: the log ends at entry ${lastIndex} of term ${lastTerm}, applied up to ${kv.consistentIndex()}, revision ${kv.revision()}${uncommitted > 0 ? `, ${uncommitted} entries not known to be committed` : ''}`,
      );
    } finally {
      await member.close();
    }
  } catch (error) {
    if (!(error instanceof KeelsonError) && !(error instanceof InvariantViolation)) throw error;
    yield problem(`state and log do not start together: ${errorText(error)}`);
  }
}

function printable(key: Uint8Array): string {
  const text = Buffer.from(key);
  return isRevisionRow(key) ? `r ${text.subarray(1).toString('hex')}` : JSON.stringify(text.toString('utf8'));
}

function problem(text: string): Finding {
  return { kind: 'problem', text };
}

function note(text: string): Finding {
  return { kind: 'note', text };
}
