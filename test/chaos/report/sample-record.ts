/**
 * Records of runs that never were, out of a seed, shaped like real ones: leaders change, members crash and come back, links are
 * cut and healed, clients work meanwhile, and, where asked, one read sees an old value.
 */
import { type SeededRandom, seededRandom } from '../../../chaos/sim/random.ts';
import type {
  LinkChange,
  MemberState,
  RecordedFault,
  RecordedOperation,
  RunRecord,
  StateChange,
} from '../../../chaos/report/run-record.ts';

export interface SampleOptions {
  readonly seed: string;
  readonly members: number;
  readonly clients: number;
  readonly operations: number;
  readonly durationMs: number;
  readonly isViolated: boolean;
}

const standard: SampleOptions = {
  seed: '1',
  members: 5,
  clients: 6,
  operations: 1500,
  durationMs: 60_000,
  isViolated: true,
};

/** Who is what, and the changes on the way there. */
class Cast {
  readonly states: StateChange[] = [];
  readonly links: LinkChange[] = [];
  readonly faults: RecordedFault[] = [];
  readonly members: number;
  leader = 0;
  term = 1;
  readonly down = new Set<number>();

  constructor(members: number) {
    this.members = members;
  }

  set(atMs: number, member: number, state: MemberState): void {
    this.states.push({ atMs, member, state, term: this.term });
  }

  elect(atMs: number, leader: number): void {
    this.set(atMs, leader, 'preCandidate');
    this.term += 1;
    this.set(atMs + 40, leader, 'candidate');
    for (let member = 0; member < this.members; member++) {
      if (member !== leader && !this.down.has(member)) this.set(atMs + 60, member, 'follower');
    }
    this.set(atMs + 90, leader, 'leader');
    this.leader = leader;
  }

  another(random: SeededRandom): number {
    const others = Array.from({ length: this.members }, (_, member) => member).filter(
      (member) => member !== this.leader && !this.down.has(member),
    );
    return others[random.integer(0, Math.max(0, others.length - 1))] ?? this.leader;
  }

  crash(atMs: number, member: number, downMs: number): void {
    this.faults.push({ atMs, endMs: atMs + downMs, kind: 'crash', text: `crash n${member + 1}`, members: [member] });
    this.set(atMs, member, 'down');
    this.set(atMs + downMs, member, 'starting');
    this.set(atMs + downMs + 150, member, 'follower');
  }

  pause(atMs: number, member: number, forMs: number): void {
    this.faults.push({ atMs, endMs: atMs + forMs, kind: 'pause', text: `pause n${member + 1}`, members: [member] });
    this.set(atMs, member, 'paused');
    this.set(atMs + forMs, member, 'follower');
  }

  partition(atMs: number, lonely: readonly number[], healMs: number): void {
    const names = (wanted: boolean) =>
      Array.from({ length: this.members }, (_, member) => member)
        .filter((member) => lonely.includes(member) === wanted)
        .map((member) => `n${member + 1}`)
        .join(' ');
    const text = `partition ${names(true)} | ${names(false)}`;
    this.faults.push({ atMs, endMs: atMs + healMs, kind: 'partition', text, members: [...lonely] });
    for (let from = 0; from < this.members; from++) {
      for (let to = 0; to < this.members; to++) {
        if (from === to || lonely.includes(from) === lonely.includes(to)) continue;
        this.links.push({ atMs, from, to, isCut: true }, { atMs: atMs + healMs, from, to, isCut: false });
      }
    }
  }
}

function play(cast: Cast, random: SeededRandom, options: SampleOptions): void {
  for (let member = 0; member < cast.members; member++) cast.set(0, member, 'starting');
  for (let member = 0; member < cast.members; member++) cast.set(120, member, 'follower');
  cast.elect(400, random.integer(0, cast.members - 1));
  const step = options.durationMs / 10;
  for (let act = 1; act < 9; act++) {
    const atMs = act * step + random.integer(0, Math.floor(step / 4));
    const victim = act % 2 === 0 ? cast.leader : cast.another(random);
    const forMs = random.integer(Math.floor(step / 3), Math.floor(step / 2));
    const wasLeader = victim === cast.leader;
    const act4 = act % 4;
    if (act4 === 0) cast.partition(atMs, [victim], forMs);
    else if (act4 === 1) cast.crash(atMs, victim, forMs);
    else if (act4 === 2) cast.pause(atMs, victim, forMs);
    else cast.faults.push({ atMs, kind: 'weather', text: 'weather: loss 4 %, delay 5 to 40 ms', members: [] });
    if (wasLeader && act4 !== 3) {
      cast.down.add(victim);
      cast.elect(atMs + random.integer(200, 500), cast.another(random));
      cast.down.delete(victim);
      if (act4 === 0) cast.set(atMs + forMs + 20, victim, 'follower');
    }
  }
}

const kinds = ['put', 'get', 'cas', 'txn', 'delete', 'list'] as const;

function operation(id: number, random: SeededRandom, options: SampleOptions): RecordedOperation {
  const kind = kinds[Math.min(random.integer(0, 8), 5)] as (typeof kinds)[number];
  const key = `key-${random.integer(0, 9)}`;
  const startMs = Math.round(((id + random.next()) / options.operations) * options.durationMs * 1000) / 1000;
  const base = {
    id,
    client: id % options.clients,
    member: random.integer(0, options.members - 1),
    kind,
    text: kind === 'put' ? `put ${key} = v${id}` : `${kind} ${key}`,
    startMs,
  };
  const luck = random.next();
  const tookMs = 1 + random.next() ** 4 * 90;
  if (luck < 0.02) return { ...base, outcome: 'unknown' };
  if (luck < 0.04) return { ...base, endMs: startMs + 5000, outcome: 'unknown', answer: 'deadline exceeded' };
  if (luck < 0.08) return { ...base, endMs: startMs + tookMs, outcome: 'failed', answer: 'etcdserver: no leader' };
  const answer = kind === 'get' ? `v${Math.max(0, id - 7)} at revision ${id + 1}` : `revision ${id + 2}`;
  return { ...base, endMs: startMs + tookMs, outcome: 'ok', answer };
}

/** The same options give the same record. */
export function sampleRecord(changed: Partial<SampleOptions> = {}): RunRecord {
  const options = { ...standard, ...changed };
  const random = seededRandom(options.seed);
  const cast = new Cast(options.members);
  play(cast, random.fork('play'), options);
  const draw = random.fork('operations');
  const operations = Array.from({ length: options.operations }, (_, id) => operation(id, draw, options));
  const atMs = Math.round(options.durationMs * 0.62);
  const shows: number[] = [];
  if (options.isViolated) {
    const id = operations.length;
    const put = { client: 1, member: cast.leader, kind: 'put', outcome: 'ok' } as const;
    const get = { client: 2, member: cast.another(draw), kind: 'get', outcome: 'ok' } as const;
    operations.push(
      { ...put, id, text: 'put balance = 70', startMs: atMs - 420, endMs: atMs - 380, answer: 'revision 900' },
      { ...put, id: id + 1, text: 'put balance = 55', startMs: atMs - 260, endMs: atMs - 190, answer: 'revision 904' },
      { ...get, id: id + 2, text: 'get balance', startMs: atMs - 40, endMs: atMs, answer: '70 at revision 903' },
    );
    shows.push(id, id + 1, id + 2);
  }
  const acknowledged = operations.filter((one) => one.outcome === 'ok').length;
  const verdict = options.isViolated ? 'failed' : 'passed';
  return {
    format: 'keelson-run',
    version: 1,
    title: `seed ${options.seed}`,
    description: `${options.members} members under crashes, pauses, partitions and bad weather, ${options.clients} clients on ten keys.`,
    world: 'simulation',
    command: `npm run sim -- --seed ${options.seed}`,
    commit: '929fdb9c0ffee',
    durationMs: options.durationMs,
    verdict,
    ...(options.isViolated
      ? {
          violation: {
            property: 'A linearizable read returns the latest value that was acknowledged before it began.',
            detail: 'client 2 read balance = 70 at revision 903 after client 1 had been told that balance = 55 at 904',
            check: 'linearizability per key',
            atMs,
            operations: shows,
          },
        }
      : {}),
    members: Array.from({ length: options.members }, (_, member) => `n${member + 1}`),
    states: cast.states,
    links: cast.links,
    faults: cast.faults,
    operations,
    checks: [
      { name: 'linearizability per key', verdict },
      { name: 'revisions replay', verdict: 'passed' },
      { name: 'watches', verdict: 'passed' },
      { name: 'leases', verdict: 'passed' },
      { name: 'equal state hashes', verdict: 'passed' },
    ],
    figures: { events: operations.length * 41, operations: operations.length, acknowledged, 'largest term': cast.term },
  };
}
