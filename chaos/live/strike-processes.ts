/** Faults of processes: killed, asked to end, stopped, and started with less on their disk than there was, or with something else. */
import { pause as pauseFor, sleep } from '../../src/env/clock.ts';
import { rotLog } from './member-rot.ts';
import type { AnyFault, Deed, FaultOf, StrikeContext } from './strike-context.ts';

/** How often whoever lies in ambush looks around: short beside an election. */
const ambushPollMs = 100;

/** A learner that has just come back needs a moment to catch up. */
const promotePollMs = 200;

/** Undefined when it is none of these. */
export function strikeProcesses(context: StrikeContext, fault: AnyFault): Promise<Deed> | undefined {
  switch (fault.kind) {
    case 'crash':
      return crash(context, [fault.member], fault.downMs);
    case 'crashAll':
      return powerCut(context, fault.downMs);
    case 'crashQuorum':
      return crash(context, fault.members, fault.downMs);
    case 'crashLeader':
      return context.onLeader((leader) => crash(context, [leader], fault.downMs));
    case 'crashLoop':
      return crashLoop(context, fault);
    case 'stop':
      return stop(context, fault.member, fault.downMs);
    case 'stopLeader':
      return context.onLeader((leader) => stop(context, leader, fault.downMs));
    case 'pause':
      return pause(context, fault.member, fault.pauseMs);
    case 'pauseLeader':
      return context.onLeader((leader) => pause(context, leader, fault.pauseMs));
    case 'ambush':
      return ambush(context, fault);
    case 'wipe':
      return wipe(context, fault);
    case 'rot':
      return rot(context, fault);
    default:
      return undefined;
  }
}

async function crash(context: StrikeContext, members: readonly number[], downMs: number): Promise<Deed> {
  const controls = members.map((member) => context.control(member));
  const wereUp = await Promise.all(controls.map((control) => control.crash(downMs)));
  const hit = members.filter((_, place) => wereUp[place] === true);
  const names = hit.map((member) => context.name(member)).join(', ');
  return {
    text: hit.length === 0 ? 'down already: nothing crashed' : `${names} killed`,
    members: hit,
    lastsMs: downMs,
  };
}

/** Where members have disks of their own, what was not synced is lost with it. */
async function powerCut(context: StrikeContext, downMs: number): Promise<Deed> {
  const { controls } = context.parts;
  const disks = controls.flatMap(({ disk }) => (disk === undefined ? [] : [disk]));
  if (disks.length === 0) return crash(context, [...controls.keys()], downMs);
  // Who notices ends before it is killed.
  const members = [...controls.keys()].filter((member) => context.control(member).process.isUp);
  for (const { process } of controls) process.expectEnd();
  await Promise.all(disks.map((disk) => disk.break()));
  await Promise.all(controls.map((control) => control.crash(downMs)));
  if (members.length === 0) return { text: 'down already: nothing crashed', lastsMs: downMs };
  const names = members.map((member) => context.name(member)).join(', ');
  return { text: `${names} killed, and what was not synced is lost`, members, lastsMs: downMs };
}

async function crashLoop(context: StrikeContext, fault: FaultOf<'crashLoop'>): Promise<Deed> {
  const { member, times, upMs, downMs } = fault;
  const { later } = context.parts;
  const control = context.control(member);
  const { signal } = later;
  const again = async (left: number) => {
    await control.crash(downMs);
    if (left > 1 && !signal.aborted) later.after(downMs + upMs, () => again(left - 1));
  };
  await again(times);
  const text = `${context.name(member)} killed ${times} times, up for ${upMs} ms in between`;
  return { text, members: [member], lastsMs: times * downMs + (times - 1) * upMs };
}

async function stop(context: StrikeContext, member: number, downMs: number): Promise<Deed> {
  const name = context.name(member);
  if (!context.control(member).stop(downMs)) return { text: `${name} was down: not stopped` };
  return { text: `${name} asked to end`, members: [member], lastsMs: downMs };
}

async function pause(context: StrikeContext, member: number, pauseMs: number): Promise<Deed> {
  const name = context.name(member);
  if (!context.control(member).pause(pauseMs)) return { text: `${name} was down: not paused` };
  return { text: `${name} stands still`, members: [member], lastsMs: pauseMs };
}

async function wipe(context: StrikeContext, { member, downMs }: FaultOf<'wipe'>): Promise<Deed> {
  const { env, program, later, calls } = context.parts;
  if (program.kind !== 'keelson') throw context.unsupported('wipe', 'only our own store comes back as somebody else');
  const control = context.control(member);
  const data = `${control.planned.directory}/data`;
  const { signal } = later;
  await control.crash(downMs, async () => {
    if (await env.disk.exists(data)) await env.disk.remove(data);
    // The word of whoever is in charge that it may come back: without it a wiped member stays away.
    control.process.addFlag('--rejoin');
  });
  // It comes back as a learner; an operator makes it a voter again, or the next fault would find one voter less.
  later.background(async () => {
    while (!signal.aborted) {
      await pauseFor(env.clock, promotePollMs, signal);
      const word = await calls.word(member, 1_000);
      if (word?.isLearner === true && (await calls.promote(word.memberId, 1_000))) return;
    }
  });
  return { text: `${context.name(member)} killed, and its data gone`, members: [member], lastsMs: downMs };
}

async function rot(context: StrikeContext, { member, downMs, bytes }: FaultOf<'rot'>): Promise<Deed> {
  const { env, program } = context.parts;
  if (program.kind !== 'keelson') throw context.unsupported('rot', 'only our own store comes back by itself');
  const control = context.control(member);
  let changed = 0;
  await control.crash(downMs, async () => {
    changed = await rotLog(`${control.planned.directory}/data`, bytes, env.random);
  });
  const text = `${context.name(member)} killed, and ${changed} bytes of its log changed`;
  return { text, members: [member], lastsMs: downMs };
}

async function ambush(context: StrikeContext, { forMs, withinMs, downMs }: FaultOf<'ambush'>): Promise<Deed> {
  const { env, later, leader: findLeader } = context.parts;
  const { clock, random } = env;
  const { signal } = later;
  const endMs = clock.monotonicMs() + forMs;
  const first = await findLeader();
  const known = new Set(first === undefined ? [] : [first.term]);
  later.background(async () => {
    while (clock.monotonicMs() < endMs && !signal.aborted) {
      const leader = await findLeader();
      if (leader !== undefined && !known.has(leader.term) && !signal.aborted) {
        known.add(leader.term);
        later.after(random.next() * withinMs, async () => {
          await context.control(leader.member).crash(downMs);
        });
      }
      await sleep(clock, ambushPollMs);
    }
  });
  return { text: `whoever begins to lead is killed within ${withinMs} ms`, lastsMs: forMs };
}
