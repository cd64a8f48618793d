/**
 * Stories about Raft as text: commands after `> `, what happened below them, comments after `#`. One line per command:
 *
 *   cluster 3 | cluster voters=1,2,3 learners=4 [key=value of RaftConfig]   join 4
 *   campaign 1 · tick 1 [count] · election 1 (ticks until it campaigns) · propose 1 text · read 1 context
 *   change 1 voter 4, remove 2 · transfer 1 2 · unreachable 1 2 · snapshot-failed 1 2 · veto 1
 *   ready 1 · persist 1 [records] · apply 1 · slow-disk 1 · fast-disk 1 · compact 1 upTo
 *   deliver [from=1] [to=2] [type=app] [count=1] · drop … · again … (delivers, and keeps a copy in the network)
 *   cut 1 [2] (both ways) · one-way 1 2 · heal · crash 1 · restart 1 · stabilize [quiet] · run ticks
 *   status · log [1] · network
 *
 * A replica whose command produced something is not read out until `ready` or `stabilize`.
 */
import { assert, present } from '../../src/env/assert.ts';
import { toReplicaId } from '../../src/raft/core/numbers.ts';
import type { ConfChangeStep, Message, Persist, Ready } from '../../src/raft/core/types.ts';
import { confStateOf, describeConf, describeEntry, emptyDisk, RaftHarness } from './raft-harness.ts';
import { describeMessage } from './raft-messages.ts';

/** Runs a story; returns it with the output that it really has. */
export function runStory(text: string): string {
  const story = new Story();
  const output: string[] = [];
  for (const line of text.split('\n')) {
    if (line.startsWith('> ')) output.push(line, ...story.run(line.slice(2)), '');
    else if (line.startsWith('#')) output.push(line);
  }
  return `${output.join('\n').trimEnd()}\n`;
}

function idsOf(text: string): number[] {
  return text.split(',').map(Number);
}

class Story {
  #harness = new RaftHarness();
  readonly #cuts: Set<string> = new Set();
  #lines: string[] = [];

  run(command: string): string[] {
    this.#lines = [];
    const words = command.split(/\s+/).filter((word) => !word.includes('='));
    const options = new Map(
      command.split(/\s+/).flatMap((word) => (word.includes('=') ? [word.split('=', 2) as [string, string]] : [])),
    );
    const [name = '', ...args] = words;
    this.#execute(name, args, options);
    return this.#lines.length > 0 ? this.#lines : ['ok'];
  }

  #execute(name: string, args: readonly string[], options: ReadonlyMap<string, string>): void {
    const id = Number(args[0]);
    const other = toReplicaId(Number.parseInt(args[1] ?? '0', 10) || 0);
    const harness = this.#harness;
    const commands: Record<string, () => unknown> = {
      cluster: () => this.#cluster(args, options),
      join: () => harness.add(id),
      campaign: () => harness.do(id, (core) => core.campaign()),
      tick: () => harness.tick(id, Number(args[1] ?? 1)),
      election: () => this.#election(id),
      propose: () =>
        this.#say(describeResult(harness.do(id, (core) => core.propose(new TextEncoder().encode(args[1]))))),
      change: () => this.#change(id, args.slice(1).join(' ')),
      read: () => harness.do(id, (core) => core.readIndex(Number(args[1]))),
      transfer: () => harness.do(id, (core) => core.transferLeader(other)),
      unreachable: () => harness.do(id, (core) => core.reportUnreachable(other)),
      'snapshot-failed': () => harness.do(id, (core) => core.reportSnapshot(other, 'failed')),
      veto: () => Object.assign(harness.at(id), { isVetoing: true }),
      ready: () => this.#ready(id),
      persist: () => this.#persist(id, Number(args[1] ?? Number.POSITIVE_INFINITY)),
      apply: () => this.#apply(id),
      'slow-disk': () => Object.assign(harness.at(id), { isSlowDisk: true }),
      'fast-disk': () => Object.assign(harness.at(id), { isSlowDisk: false }),
      compact: () => this.#say(`snapshot at ${harness.compact(id, Number(args[1])).index}`),
      deliver: () => this.#deliver(options, 'deliver'),
      drop: () => this.#deliver(options, 'drop'),
      again: () => this.#deliver(options, 'again'),
      cut: () => this.#cut(id, args[1]),
      'one-way': () => this.#cuts.add(`${id} ${other}`),
      heal: () => this.#cuts.clear(),
      crash: () => harness.crash(id),
      restart: () => harness.restart(id),
      stabilize: () => this.#stabilize(args[0] === 'quiet'),
      run: () => this.#runTicks(id),
      status: () => this.#status(),
      log: () => this.#log(args[0] === undefined ? [...harness.replicas.keys()] : [id]),
      network: () => harness.network.forEach((message) => this.#say(describeMessage(message))),
    };
    present(commands[name], `command ${name}`)();
  }

  #say(line: string): void {
    this.#lines.push(`  ${line}`);
  }

  #cluster(args: readonly string[], options: ReadonlyMap<string, string>): void {
    const config = Object.fromEntries(
      [...options]
        .filter(([key]) => key !== 'voters' && key !== 'learners')
        .map(([key, value]) => [key, JSON.parse(value)]),
    );
    this.#harness = new RaftHarness(config);
    this.#harness.isCut = (from, to) => this.#cuts.has(`${from} ${to}`);
    const voters = options.has('voters')
      ? idsOf(options.get('voters') ?? '')
      : Array.from({ length: Number(args[0]) }, (_, at) => at + 1);
    const learners = options.has('learners') ? idsOf(options.get('learners') ?? '') : [];
    for (const id of [...voters, ...learners]) this.#harness.add(id, emptyDisk(confStateOf(voters, learners)));
  }

  #election(id: number): void {
    const { term, role } = this.#harness.core(id).status();
    for (let ticks = 1; ticks <= 40; ticks += 1) {
      this.#harness.tick(id);
      const now = this.#harness.core(id).status();
      if (now.role !== role || now.term !== term) return this.#say(`after ${ticks} ticks ${id} is ${now.role}`);
    }
    this.#say(`${id} stays ${role}`);
  }

  #change(id: number, text: string): void {
    const kinds: Record<string, ConfChangeStep['kind']> = {
      voter: 'addVoter',
      learner: 'addLearner',
      remove: 'remove',
    };
    const steps =
      text === 'leave'
        ? []
        : text.split(',').map((part): ConfChangeStep => {
            const [kind = '', replica] = part.trim().split(' ');
            return { kind: present(kinds[kind], `kind ${kind}`), replica: toReplicaId(Number(replica)) };
          });
    this.#say(
      describeResult(this.#harness.do(id, (core) => core.proposeConfChange({ steps, context: new Uint8Array(0) }))),
    );
  }

  #ready(id: number): void {
    const before = this.#harness.network.length;
    const ready = this.#harness.ready(id);
    for (const line of describeReady(ready)) this.#say(`${id} ${line}`);
    const released = this.#harness.network.slice(before);
    const sealed = new Set(ready.messagesAfterPersist?.sealedMessages ?? []);
    for (const message of released) {
      if (!ready.messages.includes(message) && !sealed.has(message))
        this.#say(`${id} releases ${describeMessage(message)}`);
    }
  }

  #persist(id: number, count: number): void {
    const before = this.#harness.network.length;
    for (const record of this.#harness.persist(id, count)) this.#say(`${id} has record ${record.token} on disk`);
    for (const message of this.#harness.network.slice(before)) this.#say(`${id} releases ${describeMessage(message)}`);
  }

  #apply(id: number): void {
    for (const line of this.#harness.apply(id)) this.#say(`${id} applies ${line}`);
  }

  #deliver(options: ReadonlyMap<string, string>, mode: 'deliver' | 'drop' | 'again'): void {
    const matches = (message: Message): boolean =>
      [...options].every(([key, value]) => key === 'count' || String(message[key as keyof Message]) === value);
    const chosen = this.#harness.network
      .filter(matches)
      .slice(0, Number(options.get('count') ?? Number.POSITIVE_INFINITY));
    if (mode !== 'again') this.#harness.network = this.#harness.network.filter((message) => !chosen.includes(message));
    for (const message of chosen) this.#hand(message, mode);
  }

  #hand(message: Message, mode: 'deliver' | 'drop' | 'again'): void {
    const isLost = mode === 'drop' || this.#harness.isCut(message.from, message.to);
    this.#say(`${describeMessage(message)}${isLost ? ' LOST' : mode === 'again' ? ' (and again later)' : ''}`);
    if (mode === 'drop') {
      if (message.type === 'snap') this.#harness.do(message.from, (core) => core.reportSnapshot(message.to, 'failed'));
      return;
    }
    const before = this.#roleOf(message.to);
    this.#harness.deliver(message);
    if (this.#roleOf(message.to) !== before) this.#say(`${message.to}: ${before} => ${this.#roleOf(message.to)}`);
  }

  #roleOf(id: number): string {
    const replica = this.#harness.replicas.get(id);
    if (replica === undefined || !replica.isUp) return 'down';
    const { role, term } = replica.core.status();
    return `${role} in term ${term}`;
  }

  #cut(id: number, other: string | undefined): void {
    const others = other === undefined ? [...this.#harness.replicas.keys()] : [Number(other)];
    for (const to of others) this.#cuts.add(`${id} ${to}`).add(`${to} ${id}`);
  }

  #stabilize(isQuiet: boolean): void {
    for (let round = 0; round < 200; round += 1) {
      let didSomething = false;
      for (const replica of this.#harness.replicas.values()) {
        if (!replica.isUp) continue;
        while (replica.core.hasReady()) {
          this.#ready(replica.id);
          didSomething = true;
        }
        if (!replica.isSlowDisk && replica.records.length > 0) {
          this.#persist(replica.id, Number.POSITIVE_INFINITY);
          didSomething = true;
        }
        if (replica.toApply.length > 0) this.#apply(replica.id);
      }
      const messages = this.#harness.network.splice(0);
      for (const message of messages) this.#hand(message, 'deliver');
      if (!didSomething && messages.length === 0) break;
      assert(round < 199, 'the cluster does not come to rest');
    }
    if (!isQuiet) return;
    this.#lines = [];
    this.#status();
  }

  #runTicks(ticks: number): void {
    this.#harness.tickAll(ticks);
    this.#status();
  }

  #status(): void {
    for (const { id, isUp, core, disk, reads, droppedReads } of this.#harness.replicas.values()) {
      const { role, term, leader, committed, applied, lastIndex, confState, transferee } = core.status();
      const state = isUp ? `${role} t${term} leader ${leader}` : `down t${disk.hardState.term}`;
      const answered = reads.map((read) => `${read.context}@${read.index}`).join(' ');
      const parts = [
        `${id} ${state} last ${lastIndex} committed ${committed} applied ${applied}`,
        describeConf(confState),
      ];
      if (transferee > 0) parts.push(`transferring to ${transferee}`);
      if (answered !== '') parts.push(`reads ${answered}`);
      if (droppedReads.length > 0) parts.push(`dropped reads ${droppedReads.join(' ')}`);
      this.#say(parts.join(', '));
    }
  }

  #log(ids: readonly number[]): void {
    for (const id of ids) {
      const { base, entries } = this.#harness.core(id).inspectLog();
      const { durable } = this.#harness.core(id).view();
      this.#say(`${id} durable ${durable}, after ${base.index}/${base.term}: ${entries.map(describeEntry).join(', ')}`);
    }
  }
}

function describeResult(
  result: ReturnType<RaftHarness['core']> extends { propose(data: Uint8Array): infer R } ? R : never,
): string {
  if (result.kind === 'dropped') return `dropped: ${result.reason}`;
  return result.index === undefined ? 'forwarded' : `accepted at ${result.index}/${result.term}`;
}

function describeReady(ready: Ready): string[] {
  const lines: string[] = [];
  if (ready.softState !== undefined) lines.push(`is ${ready.softState.role} of leader ${ready.softState.leader}`);
  if (ready.persist !== undefined) lines.push(describePersist(ready.persist));
  for (const message of ready.messages) lines.push(`sends ${describeMessage(message)}`);
  const sealed = ready.messagesAfterPersist;
  for (const message of sealed?.sealedMessages ?? [])
    lines.push(`seals with ${sealed?.token}: ${describeMessage(message)}`);
  if (ready.committed.length > 0) lines.push(`is to apply ${ready.committed.map(describeEntry).join(', ')}`);
  for (const read of ready.readStates) lines.push(`may answer read ${read.context} at ${read.index}`);
  if (ready.droppedReads.length > 0) lines.push(`drops reads ${ready.droppedReads.join(' ')}`);
  if (ready.snapshotWanted === true) lines.push('wants a snapshot');
  return lines;
}

function describePersist({ token, hardState, entries, snapshot, mustSync }: Persist): string {
  const parts = [`writes record ${token}${mustSync ? '' : ' (no sync)'}:`];
  if (hardState !== undefined) parts.push(`term ${hardState.term} vote ${hardState.vote} commit ${hardState.commit}`);
  if (snapshot !== undefined) parts.push(`snapshot ${snapshot.index}/${snapshot.term}`);
  if (entries.length > 0) parts.push(`[${entries.map(describeEntry).join(', ')}]`);
  return parts.join(' ');
}
