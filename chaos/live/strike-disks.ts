/** Faults of disks, for worlds whose members have disks of their own. */
import { pause } from '../../src/env/clock.ts';
import type { MemberControl } from './member-control.ts';
import type { MemberDisk } from './member-disk.ts';
import type { AnyFault, Deed, FaultOf, StrikeContext } from './strike-context.ts';

/** Between two stands of a slow disk: what had waited goes through. */
const thawedMs = 5;

/** Undefined when it is none of these. */
export function strikeDisks(context: StrikeContext, fault: AnyFault): Promise<Deed> | undefined {
  switch (fault.kind) {
    case 'diskError':
      return fault.code === 'EIO' ? breakDisk(context, fault) : fillAndRestart(context, fault);
    case 'fullDisk':
      return fullDisk(context, fault);
    case 'slowDisk':
      return slowDisk(context, fault);
    default:
      return undefined;
  }
}

function diskOf(context: StrikeContext, { kind, member }: FaultOf<'diskError' | 'fullDisk' | 'slowDisk'>): MemberDisk {
  const { disk } = context.control(member);
  if (disk !== undefined) return disk;
  throw context.unsupported(kind, 'its members have no disks of their own: make the world with hasOwnDisks');
}

/** It may notice at once, or with its next write; whoever has not noticed by then is killed. */
async function breakDisk(context: StrikeContext, fault: FaultOf<'diskError'>): Promise<Deed> {
  const { member, downMs } = fault;
  const disk = diskOf(context, fault);
  const control = context.control(member);
  control.process.expectEnd();
  await disk.break();
  restartLater(context, control, downMs);
  const text = `every operation on the disk of ${context.name(member)} fails with EIO, and what was not synced is lost`;
  return { text, members: [member], lastsMs: downMs };
}

async function fillAndRestart(context: StrikeContext, fault: FaultOf<'diskError'>): Promise<Deed> {
  const { member, downMs } = fault;
  const disk = diskOf(context, fault);
  const control = context.control(member);
  control.process.expectEnd();
  await disk.fill();
  restartLater(context, control, downMs);
  return { text: `the disk of ${context.name(member)} is full`, members: [member], lastsMs: downMs };
}

function restartLater(context: StrikeContext, control: MemberControl, downMs: number): void {
  context.parts.later.after(downMs, async () => {
    await control.crash(0, () => control.disk?.free() ?? Promise.resolve());
  });
}

/** Our own store goes on without room; others may end, and are started again when there is room. */
async function fullDisk(context: StrikeContext, fault: FaultOf<'fullDisk'>): Promise<Deed> {
  const { member, healMs } = fault;
  const { later, program } = context.parts;
  const disk = diskOf(context, fault);
  const control = context.control(member);
  if (program.kind !== 'keelson') control.process.expectEnd();
  await disk.fill();
  later.after(healMs, async () => {
    await control.inTurn(() => disk.free());
    if (program.kind !== 'keelson') await control.start();
  });
  return { text: `the disk of ${context.name(member)} is full`, members: [member], lastsMs: healMs };
}

/** Stands still for `delayMs`, again and again: what is written waits for half of it on average. */
async function slowDisk(context: StrikeContext, fault: FaultOf<'slowDisk'>): Promise<Deed> {
  const { member, delayMs, healMs } = fault;
  const { env, later } = context.parts;
  const { signal } = later;
  const disk = diskOf(context, fault);
  const endMs = env.clock.monotonicMs() + healMs;
  later.background(async () => {
    while (!signal.aborted && env.clock.monotonicMs() < endMs) {
      await disk.freeze();
      await pause(env.clock, Math.min(delayMs, Math.max(endMs - env.clock.monotonicMs(), 0)), signal);
      await disk.thaw();
      await pause(env.clock, thawedMs, signal);
    }
  });
  const text = `the disk of ${context.name(member)} stands still for ${delayMs} ms again and again`;
  return { text, members: [member], lastsMs: healMs };
}
