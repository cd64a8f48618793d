/** Faults of the lines: between members, and between them and their clients. */
import type { Link } from './contract.ts';
import { type CuttingFault, cutLinks, isCutting, linksOf } from './fault-links.ts';
import { cutMembers, cutText, weatherText } from './fault-text.ts';
import type { LinkConditions } from './link-pacing.ts';
import type { Disturbance } from './net-control.ts';
import type { AnyFault, Deed, FaultOf, StrikeContext } from './strike-context.ts';
import { allLinks } from './world-plan.ts';

/** Undefined when it is none of these. */
export function strikeLinks(context: StrikeContext, fault: AnyFault): Promise<Deed> | undefined {
  if (isCutting(fault)) return cut(context, fault);
  switch (fault.kind) {
    case 'isolateLeader':
      return context.onLeader((leader) => isolate(context, leader, fault.healMs));
    case 'clientCut':
      return clientCut(context, fault);
    case 'weather':
      return weather(context, fault);
    case 'slowLinks':
      return slowLinks(context, fault);
    case 'clog':
      return change(context, fault, { isClogged: true }, (way) => `what goes ${way} stands still`);
    case 'narrow': {
      const { bytesPerSecond } = fault;
      return change(
        context,
        fault,
        { bytesPerSecond },
        (way) => `no more than ${bytesPerSecond} bytes a second ${way}`,
      );
    }
    case 'corrupt': {
      const { flipsPerByte } = fault;
      return change(context, fault, { flipsPerByte }, (way) => `bytes ${way} arrive as other ones`);
    }
    case 'reset':
      return reset(context, fault);
    case 'halfOpen':
      return halfOpen(context, fault);
    default:
      return undefined;
  }
}

async function begin(context: StrikeContext, disturbance: Disturbance, lastsMs: number): Promise<void> {
  const { net, later } = context.parts;
  later.after(lastsMs, () => net.end(disturbance));
  await net.begin(disturbance);
}

async function cut(context: StrikeContext, fault: CuttingFault): Promise<Deed> {
  const { controls } = context.parts;
  const members = cutMembers(fault);
  for (const member of members) context.control(member);
  const links = cutLinks(fault, controls.length);
  const names = controls.map(({ planned }) => planned.name);
  if (fault.kind === 'flapping') flap(context, links, fault);
  else await begin(context, { cut: links }, fault.healMs);
  return { text: cutText(fault, names), members, lastsMs: fault.healMs, links };
}

function flap(context: StrikeContext, links: readonly Link[], { onMs, offMs, healMs }: FaultOf<'flapping'>): void {
  const { env, later } = context.parts;
  const { signal } = later;
  const endMs = env.clock.monotonicMs() + healMs;
  const again = async () => {
    const leftMs = endMs - env.clock.monotonicMs();
    if (leftMs <= 0 || signal.aborted) return;
    later.after(onMs + offMs, again);
    await begin(context, { cut: links }, Math.min(onMs, leftMs));
  };
  later.background(again);
}

async function isolate(context: StrikeContext, member: number, healMs: number): Promise<Deed> {
  const links = linksOf(member, context.parts.controls.length);
  await begin(context, { cut: links }, healMs);
  return { text: `${context.name(member)} is cut off`, members: [member], lastsMs: healMs, links };
}

async function clientCut(context: StrikeContext, { member, lost, healMs }: FaultOf<'clientCut'>): Promise<Deed> {
  const name = context.name(member);
  await begin(context, { clientCuts: [{ member, lost }] }, healMs);
  const text = lost === 'requests' ? `${name} does not hear clients` : `clients do not hear ${name}`;
  return { text, members: [member], lastsMs: healMs };
}

async function weather(context: StrikeContext, { conditions }: FaultOf<'weather'>): Promise<Deed> {
  const { loss, delayMinMs, delayMeanMs } = conditions;
  const links = allLinks(context.parts.controls.length);
  await context.parts.net.setWeather({ loss, conditions: { links, change: { delayMinMs, delayMeanMs } } });
  return { text: weatherText(conditions) };
}

async function slowLinks(context: StrikeContext, { member, byMs, healMs }: FaultOf<'slowLinks'>): Promise<Deed> {
  const name = context.name(member);
  const links = linksOf(member, context.parts.controls.length);
  await begin(context, { conditions: { links, change: { delayMeanMs: byMs / 2 } } }, healMs);
  const text = `whatever goes to and from ${name} takes ${byMs / 2} ms longer on average`;
  return { text, members: [member], lastsMs: healMs };
}

async function change(
  context: StrikeContext,
  { from, to, healMs }: FaultOf<'clog' | 'narrow' | 'corrupt'>,
  conditions: Partial<LinkConditions>,
  textOf: (way: string) => string,
): Promise<Deed> {
  const text = textOf(`from ${context.name(from)} to ${context.name(to)}`);
  await begin(context, { conditions: { links: [{ from, to }], change: conditions } }, healMs);
  return { text, members: [from, to], lastsMs: healMs };
}

async function reset(context: StrikeContext, { from, to }: Link): Promise<Deed> {
  const names = `${context.name(from)} and ${context.name(to)}`;
  const { hit = 0 } = await context.parts.net.proxy.ask({ kind: 'reset', a: from, b: to });
  return { text: `${hit} connections between ${names} reset`, members: [from, to] };
}

async function halfOpen(context: StrikeContext, { from, to, healMs }: FaultOf<'halfOpen'>): Promise<Deed> {
  const [forgetful, misled] = [context.name(from), context.name(to)];
  const { net, later } = context.parts;
  const { hit = 0 } = await net.proxy.ask({ kind: 'forget', from, to });
  later.after(healMs, async () => {
    await net.proxy.ask({ kind: 'endForgotten', links: [{ from, to }] });
  });
  const text = `${hit} connections between ${forgetful} and ${misled} reset, and ${misled} is not told`;
  return { text, members: [from, to], lastsMs: healMs };
}
