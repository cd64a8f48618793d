/**
 * A member's address over its lives. Flags name it at the first start; when they name another one later, the member has
 * moved, and the others, who still call at the old place, must be told. Any of them may be: the statement is signed.
 *
 * The flags are compared with those of the start before, not with the member table, because an address that was changed
 * with `member update` is not changed back by old flags.
 */
import { assert } from '../../env/assert.ts';
import { type Cancel, sleep } from '../../env/clock.ts';
import type { Env } from '../../env/env.ts';
import { errorText } from '../../env/errors.ts';
import { readTextIfAny, writeFileAtomic } from '../../env/files.ts';
import type { KvState } from '../apply/index.ts';
import type { JoinInfo } from './beginning.ts';
import type { MemberMove } from './contract.ts';
import { addressText, type MemberKey } from './member-key.ts';

const retryMs = 1_000;

export type TellMove = (peerUrls: readonly string[], move: MemberMove) => Promise<JoinInfo>;

export interface WhereaboutsOptions {
  readonly env: Pick<Env, 'clock' | 'disk' | 'log'>;
  readonly directory: string;
  readonly clusterId: number;
  readonly memberId: number;
  readonly peerUrls: readonly string[];
  readonly key: MemberKey;
  readonly kv: KvState;
  readonly tellMove: TellMove;
}

/** Compares, and tells the others for as long as it takes; the returned function ends that. */
export async function tellWhereabouts(options: WhereaboutsOptions): Promise<Cancel> {
  const { env, directory, peerUrls } = options;
  const path = `${directory}/peer-urls`;
  const now = [...peerUrls].sort().join('\n');
  const before = await readTextIfAny(env.disk, path);
  const abort = new AbortController();
  if (before === undefined) await writeFileAtomic(env.disk, path, now);
  if (before === undefined || before === now || peerUrls.length === 0) return () => undefined;
  tellUntilKnown(options, abort.signal)
    .then(
      () => writeFileAtomic(env.disk, path, now),
      (error: unknown) => env.log.debug('stopped telling the new address', { error: errorText(error) }),
    )
    .catch((error: unknown) => env.log.warn('the new address was told but not noted', { error: errorText(error) }));
  return () => abort.abort();
}

async function tellUntilKnown(options: WhereaboutsOptions, signal: AbortSignal): Promise<void> {
  const { env, clusterId, memberId, peerUrls, key, kv, tellMove } = options;
  for (;;) {
    signal.throwIfAborted();
    const members = [...kv.members().values()];
    const fromUrls = members.find((member) => member.id === memberId)?.peerUrls ?? [];
    if ([...fromUrls].sort().join() === [...peerUrls].sort().join()) return;
    const others = members.filter((member) => member.id !== memberId).flatMap((member) => member.peerUrls);
    assert(clusterId > 0, 'a member belongs to a cluster');
    if (others.length === 0) return;
    try {
      const signature = key.sign(addressText({ clusterId, memberId, fromUrls, toUrls: peerUrls }));
      await tellMove(others, { memberId, peerUrls, signature });
      env.log.info('told the others where this member is now', { from: fromUrls, to: peerUrls });
      return;
    } catch (error) {
      env.log.warn('could not tell the others where this member is now', { error: errorText(error) });
    }
    await sleep(env.clock, retryMs, signal);
  }
}
