/**
 * Everything in a data directory as one item after another: member file, log, snapshots, rows. Touches nothing: the rows
 * are read from a copy.
 */
import { KeelsonError } from '../../env/errors.ts';
import { readWal, type WalItem } from '../../raft/wal/read-wal.ts';
import { allRowsFrom, allRowsTo, isRevisionRow } from '../apply/meta-rows.ts';
import type { Backend } from '../backend/contract.ts';
import { decodeRevision } from '../mvcc/revision.ts';
import { decodeRow, isTombstone } from '../mvcc/row.ts';
import { lockDataDirectory, type MemberFile, readMemberFile } from '../server/data-directory.ts';
import { copyDirectory } from './copy-directory.ts';
import type { OfflineOptions } from './offline.ts';

export type DumpItem =
  | { readonly kind: 'member'; readonly file: MemberFile }
  | { readonly kind: 'log'; readonly item: WalItem }
  | {
      readonly kind: 'revision';
      readonly revision: string;
      readonly type: 'put' | 'delete';
      readonly key: string;
      /** Of a put. */
      readonly valueBytes?: number;
      readonly value?: string;
      readonly createRevision?: number;
      readonly version?: number;
      readonly lease?: string;
    }
  | { readonly kind: 'row'; readonly key: string; readonly value: unknown };

/** Text when it is UTF-8, else base64 with a prefix that says so. */
function textOf(bytes: Uint8Array): string {
  const text = Buffer.from(bytes).toString('utf8');
  return Buffer.from(text, 'utf8').equals(bytes) ? text : `base64:${Buffer.from(bytes).toString('base64')}`;
}

export async function* dumpDirectory(options: OfflineOptions): AsyncGenerator<DumpItem> {
  const { env, directory, scratch } = options;
  const file = await readMemberFile(env.disk, directory);
  if (file === undefined) {
    throw new KeelsonError('DATA_MISSING', `dump ${directory}: it holds no member: check the path`);
  }
  yield { kind: 'member', file };
  const lock = (await env.disk.exists(`${directory}/LOCK`)) ? await lockDataDirectory(env.disk, directory) : undefined;
  try {
    for await (const item of readWal(env.disk, options.logDirectory ?? `${directory}/raft`))
      yield { kind: 'log', item };
    if (!(await env.disk.exists(`${directory}/kv`))) return;
    await env.disk.makeDirectory(scratch);
    await copyDirectory(env.disk, `${directory}/kv`, `${scratch}/kv`);
  } finally {
    await lock?.release();
  }
  try {
    const backend = await options.openBackend(`${scratch}/kv`);
    try {
      yield* dumpRows(backend);
    } finally {
      await backend.close();
    }
  } finally {
    await env.disk.remove(scratch);
  }
}

async function* dumpRows(backend: Backend): AsyncGenerator<DumpItem> {
  for await (const [key, value] of backend.scan(allRowsFrom, allRowsTo)) {
    if (!isRevisionRow(key)) {
      yield { kind: 'row', key: rowName(key), value: JSON.parse(Buffer.from(value).toString('utf8')) };
      continue;
    }
    const { main, sub } = decodeRevision(key);
    const kv = decodeRow(value, main);
    const revision = `${main}.${sub}`;
    if (isTombstone(value)) {
      yield { kind: 'revision', revision, type: 'delete', key: textOf(kv.key) };
      continue;
    }
    const { createRevision, version } = kv;
    const lease = kv.lease === 0n ? {} : { lease: BigInt.asUintN(64, kv.lease).toString(16) };
    const text = { key: textOf(kv.key), value: textOf(kv.value), valueBytes: kv.value.length };
    yield { kind: 'revision', revision, type: 'put', ...text, createRevision, version, ...lease };
  }
}

/** The row's letter and what it is about; a lease's id is binary. */
function rowName(key: Uint8Array): string {
  const bytes = Buffer.from(key);
  const letter = bytes.subarray(0, 1).toString('latin1');
  return letter === 'l' ? `l${bytes.subarray(1).toString('hex')}` : bytes.toString('utf8');
}
