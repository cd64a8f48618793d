/** Faults of clocks, for members that run on Node: the time of day and the pace of each are their own. */
import type { MemberClock } from './member-clock.ts';
import type { AnyFault, Deed, FaultOf, StrikeContext } from './strike-context.ts';

/** Undefined when it is none of these. */
export function strikeClocks(context: StrikeContext, fault: AnyFault): Promise<Deed> | undefined {
  switch (fault.kind) {
    case 'clockRate':
      return pace(context, fault, fault.rate);
    case 'clockFreeze':
      return pace(context, fault, 0);
    case 'wallJump':
      return jump(context, fault);
    case 'wallStrobe':
      return strobe(context, fault);
    default:
      return undefined;
  }
}

type ClockFault = FaultOf<'clockRate' | 'clockFreeze' | 'wallJump' | 'wallStrobe'>;

function clockOf(context: StrikeContext, { kind, member }: ClockFault): MemberClock {
  const { clock } = context.control(member);
  if (clock !== undefined) return clock;
  throw context.unsupported(kind, 'its members have no clocks of their own: make the world with hasOwnClocks');
}

/** What the time of day has drifted meanwhile stays, as nobody sets it, until the world is healed. */
async function pace(context: StrikeContext, fault: FaultOf<'clockRate' | 'clockFreeze'>, rate: number): Promise<Deed> {
  const { member, healMs } = fault;
  const clock = clockOf(context, fault);
  clock.set({ rate });
  context.parts.later.after(healMs, () => {
    // Another one may have set its pace meanwhile.
    if (clock.settings.rate === rate) clock.set({ rate: 1 });
  });
  const name = context.name(member);
  const text = rate === 0 ? `the clock of ${name} stands still` : `the clock of ${name} runs ${rate} times as fast`;
  return { text, members: [member], lastsMs: healMs };
}

async function jump(context: StrikeContext, fault: FaultOf<'wallJump'>): Promise<Deed> {
  const { member, byMs } = fault;
  const clock = clockOf(context, fault);
  clock.set({ wallOffsetMs: clock.settings.wallOffsetMs + byMs });
  return { text: `the time of day of ${context.name(member)} jumps by ${byMs} ms`, members: [member] };
}

async function strobe(context: StrikeContext, fault: FaultOf<'wallStrobe'>): Promise<Deed> {
  const { member, byMs, everyMs, healMs } = fault;
  const { env, later } = context.parts;
  const clock = clockOf(context, fault);
  const { signal } = later;
  const endMs = env.clock.monotonicMs() + healMs;
  let isAhead = false;
  const turn = () => {
    if (signal.aborted) return;
    const isOver = env.clock.monotonicMs() >= endMs;
    if (isOver && !isAhead) return;
    clock.set({ wallOffsetMs: clock.settings.wallOffsetMs + (isAhead ? -byMs : byMs) });
    isAhead = !isAhead;
    later.after(everyMs, turn);
  };
  turn();
  const text = `the time of day of ${context.name(member)} jumps by ${byMs} ms and back every ${everyMs} ms`;
  return { text, members: [member], lastsMs: healMs };
}
