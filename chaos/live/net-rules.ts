/**
 * The packet filter of a live world as text for `nft -f`: one table in the namespace of the bridge, replaced as a whole, so
 * that a cut of any shape strikes everywhere at once. Frames are dropped on the bridge, never in a sender's own stack: a
 * sender notices nothing, as with a cable that was pulled.
 */
import { assert, present } from '../../src/env/assert.ts';
import type { ClientCut, Link } from './contract.ts';
import type { WorldPlan } from './world-plan.ts';

export interface NetRules {
  readonly cut: readonly Link[];
  /** Share of packets between members, 0 to 1. */
  readonly loss: number;
  readonly clientCuts: readonly ClientCut[];
}

export const openNet: NetRules = { cut: [], loss: 0, clientCuts: [] };

/** Losses are drawn in steps of a thousandth of a percent. */
const lossSteps = 100_000;

export function netRulesText(plan: WorldPlan, rules: NetRules): string {
  assert(rules.loss >= 0 && rules.loss <= 1, 'loss is a share');
  const member = (index: number) => present(plan.members[index], `member ${index}`);
  const pairs = new Set<string>();
  for (const link of rules.cut) {
    const [from, to] = [member(link.from), member(link.to)];
    assert(from !== to, 'a link has two ends');
    // To the proxy, from the proxy, and past it.
    pairs.add(`${from.address} . ${to.face}`);
    pairs.add(`${from.face} . ${to.address}`);
    pairs.add(`${from.address} . ${to.address}`);
  }
  for (const { member: index, lost } of rules.clientCuts) {
    const { address } = member(index);
    pairs.add(lost === 'requests' ? `${plan.hostAddress} . ${address}` : `${address} . ${plan.hostAddress}`);
  }
  const faces = plan.members.map(({ face }) => face);
  const addresses = plan.members.map(({ address }) => address);
  const lossRules =
    rules.loss === 0
      ? []
      : [
          // Once for each way, on the second leg; the first is lossless, or losses would count twice.
          `    ip saddr { ${faces.join(', ')} } ip daddr { ${addresses.join(', ')} } numgen random mod ${lossSteps} < ${Math.round(rules.loss * lossSteps)} counter drop`,
        ];
  const elements = pairs.size === 0 ? [] : [`    elements = { ${[...pairs].sort().join(', ')} }`];
  const chain = (hook: string, more: readonly string[] = []) => [
    `  chain ${hook} {`,
    `    type filter hook ${hook} priority 0; policy accept;`,
    '    ip saddr . ip daddr @cut counter drop',
    ...more,
    '  }',
  ];
  return [
    // A table that is not there cannot be deleted: it is made first.
    'table bridge keelson_chaos',
    'delete table bridge keelson_chaos',
    'table bridge keelson_chaos {',
    '  set cut {',
    '    type ipv4_addr . ipv4_addr',
    ...elements,
    '  }',
    ...chain('input'),
    ...chain('forward'),
    ...chain('output', lossRules),
    '}',
    '',
  ].join('\n');
}
