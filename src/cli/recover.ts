/**
 * `keelson recover`: when a store has lost its quorum for good. Prints how far each survivor has come and what would be lost,
 * picks the best, and (with --yes) makes a new cluster of one out of it.
 */
import { tmpdir } from 'node:os';
import { present } from '../env/assert.ts';
import type { Env } from '../env/env.ts';
import { errorText, KeelsonError } from '../env/errors.ts';
import { silentLog } from '../env/log.ts';
import { realEnv } from '../env/real.ts';
import { openLevelBackend } from '../kv/backend/level.ts';
import { askPosition, type MemberPosition } from '../kv/client/member-status.ts';
import type { Member } from '../kv/api.ts';
import { makeNewCluster } from '../kv/snapshot/new-cluster.ts';
import { openOffline } from '../kv/snapshot/offline.ts';
import { finishSwitch } from '../kv/snapshot/switch-over.ts';
import { rankSurvivors, type Survivor } from '../kv/snapshot/survivors.ts';
import { type FlagTable, flagHelp, parseFlags, UsageError } from './flags.ts';
import { readClientTls, storeClientFlags } from './store-client-flags.ts';

const flags = {
  'data-dir': { type: 'list', help: 'data directories of survivors on this machine, none of them running' },
  'wal-dir': {
    type: 'list',
    help: 'where their logs are, in the same order, when --wal-dir of keelson store was given (DIR/raft for one that was not)',
  },
  endpoints: { type: 'list', help: 'client URLs of members that still run elsewhere: they are asked how far they are' },
  cacert: storeClientFlags.cacert,
  cert: storeClientFlags.cert,
  key: storeClientFlags.key,
  yes: { type: 'boolean', help: 'do it; without this it only says what it would do' },
  'accept-loss': { type: 'boolean', help: 'do it although a member elsewhere is further' },
  scratch: { type: 'string', default: '', help: 'where data is copied to for reading (default: TMPDIR)' },
  help: { type: 'boolean', help: 'print this' },
} as const satisfies FlagTable;

const summary =
  'Brings a store back that has lost its quorum for good: says how far each survivor has come, picks the one that is\nfurthest, and makes a new cluster of one out of it. The new cluster has a new id: members of the old one are\nstrangers to it and cannot disturb it. The old data is set aside, not changed. Without --yes nothing is done.';

const askTimeoutMs = 3_000;

/** A data directory, and where its log is when it is not in it. */
interface Place {
  readonly place: string;
  readonly logDirectory?: string | undefined;
}

interface Found extends Survivor, Place {
  readonly members: readonly Member[];
  readonly uncommitted: number;
}

export async function run(args: readonly string[]): Promise<number> {
  const command = 'recover';
  const { values } = parseFlags(flags, { command, args });
  if (values.help) {
    process.stdout.write(flagHelp('keelson recover --data-dir DIR [--yes]', summary, flags));
    return 0;
  }
  const directories = values['data-dir'];
  if (directories.length === 0) throw new UsageError('keelson recover: flag --data-dir is required: name a survivor');
  const survivors = withLogs(directories, values['wal-dir']);
  const env = realEnv('warn');
  for (const { place } of survivors) {
    if (await finishSwitch(env.disk, place)) print(`${place}: an earlier recovery was cut off: it is done now`);
  }
  const found = await lookAtAll(env, survivors, values.scratch || tmpdir());
  const best = rankSurvivors(found)[0];
  if (best === undefined) {
    throw new KeelsonError('NO_SURVIVOR', 'recover: none of the data directories can be used: restore a backup');
  }
  const tls = await readClientTls(env.disk, command, values);
  const elsewhere = await askAll(env, values.endpoints, tls);
  tellMissing(best, found, elsewhere);
  const further = [...elsewhere].filter(([, position]) => isFurther(position, best));
  for (const [endpoint, { memberId }] of further) {
    const isWitness = best.members.some(
      ({ id, isWitness: keepsNoData }) => keepsNoData === true && id.toString(16) === memberId,
    );
    if (isWitness) {
      print(
        `${endpoint} is a witness and further than ${best.place}: start that member again: the witness brings it up`,
      );
    } else
      print(
        `${endpoint} is further than ${best.place}: stop that member and run keelson recover on its data directory`,
      );
  }
  const isWanted = values.yes && (further.length === 0 || values['accept-loss']);
  for (const [endpoint, { hasLeader }] of elsewhere) {
    if (!hasLeader) continue;
    throw new KeelsonError(
      'HAS_QUORUM',
      `recover: ${endpoint} has a leader: the store has a quorum: add members instead`,
    );
  }
  if (!isWanted) {
    print(`would make a new cluster of one out of ${best.place}: nothing was done, give --yes to do it`);
    return values.yes ? 1 : 0;
  }
  const { place: directory, logDirectory } = best;
  const made = present(await makeNewCluster({ env, directory, logDirectory, openBackend }), 'the new cluster');
  print(
    `made cluster ${made.clusterId.toString(16)} of one member, ${made.name} (${made.memberId.toString(16)}), in ${best.place}: revision ${made.revision}, ${made.content.keys} keys`,
  );
  print(`the old data is in ${made.aside}${made.logAside === undefined ? '' : `, its log in ${made.logAside}`}`);
  const walDir = logDirectory === undefined ? '' : ` --wal-dir ${logDirectory}`;
  print(
    `start it as before:${walDir} --name ${made.name} --initial-cluster ${made.peerUrls.map((url) => `${made.name}=${url}`).join(',')} --initial-cluster-token ${made.token}`,
  );
  print('then start the others with --rejoin: they set what they hold aside and join as new members');
  return 0;
}

function withLogs(directories: readonly string[], logs: readonly string[]): readonly Place[] {
  const trimmed = (path: string) => path.replace(/(?<=.)\/+$/, '');
  if (logs.length > 0 && logs.length !== directories.length) {
    throw new UsageError(
      `keelson recover: ${directories.length} --data-dir and ${logs.length} --wal-dir: give one for each, DIR/raft for a log that does not lie apart`,
    );
  }
  return directories.map((given, at) => {
    const place = trimmed(given);
    const log = logs[at] === undefined ? undefined : trimmed(logs[at]);
    return log === undefined || log === `${place}/raft` ? { place } : { place, logDirectory: log };
  });
}

/** What each directory holds; one that cannot be read is told and left out. */
async function lookAtAll(env: Env, survivors: readonly Place[], scratch: string): Promise<readonly Found[]> {
  const found: Found[] = [];
  for (const each of survivors) {
    const { place } = each;
    try {
      const survivor = await lookAt(env, each, `${scratch}/keelson-recover-${env.random.uuid()}`);
      const other = found.find(({ clusterId }) => clusterId !== survivor.clusterId);
      if (other !== undefined) {
        throw new KeelsonError(
          'OTHER_CLUSTER',
          `it is of cluster ${survivor.clusterId.toString(16)}, ${other.place} of ${other.clusterId.toString(16)}`,
        );
      }
      found.push(survivor);
      const open = survivor.uncommitted > 0 ? `, the last ${survivor.uncommitted} perhaps never committed` : '';
      print(
        `${place}: member ${survivor.memberId.toString(16)} has entries up to ${survivor.lastIndex} of term ${survivor.lastTerm}${open}; revision ${survivor.revision}`,
      );
    } catch (error) {
      if (!(error instanceof KeelsonError)) throw error;
      print(`${place}: cannot be used: ${errorText(error)}`);
    }
  }
  return found;
}

async function lookAt(env: Env, { place, logDirectory }: Place, scratch: string): Promise<Found> {
  const apart = logDirectory === undefined ? {} : { logDirectory };
  const member = await openOffline({ env, directory: place, ...apart, scratch, openBackend });
  const { file, lastIndex, lastTerm, uncommitted, kv } = member;
  const members = [...kv.members().values()];
  await member.close();
  const whole = await openOffline({ env, directory: place, ...apart, scratch, openBackend, takeAll: true });
  const revision = whole.kv.revision();
  await whole.close();
  const { clusterId, memberId } = file;
  return { place, ...apart, clusterId, memberId, lastIndex, lastTerm, revision, members, uncommitted };
}

/** What the running ones say; one that does not answer is told. */
async function askAll(
  env: Env,
  endpoints: readonly string[],
  tls: Awaited<ReturnType<typeof readClientTls>>,
): Promise<ReadonlyMap<string, MemberPosition>> {
  const answers = new Map<string, MemberPosition>();
  for (const endpoint of endpoints) {
    try {
      const position = await askPosition({ clock: env.clock, endpoints: [endpoint], ...tls }, endpoint, askTimeoutMs);
      answers.set(endpoint, position);
      print(
        `${endpoint}: member ${position.memberId} has committed up to ${position.committed}, in term ${position.term}; revision ${position.revision}`,
      );
    } catch (error) {
      if (!(error instanceof KeelsonError)) throw error;
      print(`${endpoint}: ${errorText(error)}`);
    }
  }
  return answers;
}

function tellMissing(best: Found, found: readonly Found[], elsewhere: ReadonlyMap<string, MemberPosition>): void {
  const heard = new Set([
    ...found.map((survivor) => survivor.memberId.toString(16)),
    ...[...elsewhere.values()].map((position) => position.memberId),
  ]);
  const missing = best.members.filter((member) => !heard.has(member.id.toString(16)));
  for (const member of missing) {
    print(
      `${member.name || member.peerUrls.join(',')} (${member.id.toString(16)}) was not looked at: what only it has is lost`,
    );
  }
  for (const survivor of found) {
    if (survivor === best) continue;
    const behind = best.revision - survivor.revision;
    print(
      `${best.place} is ${behind >= 0 ? `${behind} revisions further than` : 'of a later term than'} ${survivor.place}`,
    );
  }
}

/** Committed entries that the best survivor has not even in its log. */
function isFurther(position: MemberPosition, best: Found): boolean {
  return position.committed > best.lastIndex;
}

// Every call on the backend throws its failure from then on, which is then told once.
const openBackend = (path: string) => openLevelBackend(path, { log: silentLog, onFatal: () => undefined });

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
