/** What a live world and its proxy's process tell each other. */
import type { Link, LinkCounts } from './contract.ts';
import type { ConditionsOfLink } from './link-pacing.ts';
import type { ProxiedMember } from './link-proxy.ts';

export type ProxyRequest =
  | { readonly kind: 'start'; readonly members: readonly ProxiedMember[]; readonly port: number }
  | { readonly kind: 'conditions'; readonly links: readonly ConditionsOfLink[] }
  | { readonly kind: 'reset'; readonly a: number; readonly b: number }
  | { readonly kind: 'forget'; readonly from: number; readonly to: number }
  | { readonly kind: 'endForgotten'; readonly links: readonly Link[] }
  | { readonly kind: 'counts' };

export interface ProxyAnswer {
  readonly id: number;
  readonly error?: string;
  /** How many connections were hit. */
  readonly hit?: number;
  readonly counts?: LinkCounts;
}
