/**
 * Leases of a history: their lives are read from the store's own log, or else from the keys that hung on them. A key that goes
 * without anybody having deleted it went with its lease, so the lease had ended when a watch told of it; one that is still there at the end
 * shows that its lease lives. The promises themselves are in leases.ts.
 */
import type { EventLog } from './event-log.ts';
import { type Evidence, exchangesOf, storeExchanges } from './evidence.ts';
import { type Finding, notApplicable, passed, unknown } from './finding.ts';
import { checkLeases, type LeaseCall, type LeaseCallKind, type LeaseLife } from './leases.ts';
import type { ModelEvent } from './model.ts';
import { Violation } from './violation.ts';

/** Unless the history says otherwise: a second for the look at all leases, the commitment and the news of it. */
const endWithinMsDefault = 5_000;
/** A client's clock and a server's differ by less than a hundredth in a second, where nobody meddles with them. */
const clockRateMaxDefault = 1.01;

const callKinds = {
  leaseGrant: 'grant',
  leaseKeepAlive: 'keepAlive',
  leaseTimeToLive: 'timeToLive',
  leaseRevoke: 'revoke',
} as const satisfies Readonly<Record<string, LeaseCallKind>>;

/** Throws Violation. */
export function checkLeaseEvidence(evidence: Evidence, log: EventLog | undefined): Finding {
  const exchanges = exchangesOf(evidence, 'leaseGrant', 'leaseKeepAlive', 'leaseTimeToLive', 'leaseRevoke');
  const asked = exchanges.filter((exchange) => !exchange.hasFailed);
  if (asked.length === 0) return notApplicable('nobody asked for a lease');
  const isUntimed = asked.some(
    ({ invokedMs, returnedAt, returnedMs }) =>
      invokedMs === undefined || (returnedAt !== undefined && returnedMs === undefined),
  );
  if (isUntimed) return unknown('leases are about time, and not every call has its time (atMs)');
  if (log === undefined) return unknown('nothing tells when leases ended: neither a log nor a watch of everything');
  const calls = asked.map(({ operation, outcome, invokedMs, returnedMs }): LeaseCall => {
    const { kind, lease } = operation;
    const ttlSeconds = outcome?.ttlSeconds ?? 0;
    return { kind: callKinds[kind], lease, invokedMs: invokedMs ?? 0, returnedMs, ttlSeconds };
  });
  const lives = log.source === 'commits' ? committedLives(evidence) : seenLives(evidence, log, calls);
  if (lives === undefined) return unknown('leases are about time, and not every commit has its time (atMs)');
  const { expect, calmMs, endMs = 0 } = evidence;
  checkLeases(calls, lives, {
    clockRateMax: expect.clockRateMax ?? clockRateMaxDefault,
    nowMs: endMs,
    endWithinMs: expect.leaseEndWithinMs ?? endWithinMsDefault,
    // Without a calm there is no time by which anything has to have happened.
    calmSinceMs: calmMs ?? Number.POSITIVE_INFINITY,
  });
  const ended = lives.filter(({ endedMs }) => endedMs !== undefined && endedMs !== Number.POSITIVE_INFINITY).length;
  return passed(`${calls.length} calls over ${lives.length} leases, ${ended} of them ended`);
}

function committedLives({ commits }: Evidence): readonly LeaseLife[] | undefined {
  const lives = new Map<string, LeaseLife>();
  for (const { request, atMs } of commits) {
    if (request.kind !== 'grant' && request.kind !== 'revoke') continue;
    if (atMs === undefined) return undefined;
    const { lease } = request;
    const life = lives.get(lease);
    if (request.kind === 'grant') {
      if (life === undefined)
        lives.set(lease, { lease, ttlSeconds: request.ttlSeconds, grantedMs: atMs, endedMs: undefined });
    } else if (life !== undefined && life.endedMs === undefined) life.endedMs = atMs;
  }
  return [...lives.values()];
}

function seenLives(evidence: Evidence, log: EventLog, calls: readonly LeaseCall[]): readonly LeaseLife[] {
  const grants = exchangesOf(evidence, 'leaseGrant').filter(({ hasFailed }) => !hasFailed);
  const told = new Map<string, number>();
  for (const { lease, ttlSeconds } of calls)
    if (ttlSeconds > 0) told.set(lease, Math.max(ttlSeconds, told.get(lease) ?? 0));
  const endsAt = leaseEnds(evidence, log);
  const heardAtMs = heardMs(evidence, log);
  const alive = new Set(log.model.list(log.model.revision).map(({ lease }) => lease));
  const lives: LeaseLife[] = [];
  for (const { operation, outcome, invokedMs } of grants) {
    const { lease } = operation;
    if (outcome === undefined && !told.has(lease)) continue;
    const revision = endsAt.get(lease);
    // Of a lease that no key hung on to the end, nobody knows how long it lived.
    const unknownEnd = alive.has(lease) ? undefined : Number.POSITIVE_INFINITY;
    const endedMs = revision === undefined ? unknownEnd : (heardAtMs(revision) ?? unknownEnd);
    // A store may grant more than was asked for: who heard of no grant goes by what he was told later.
    lives.push({
      lease,
      ttlSeconds: outcome?.ttlSeconds ?? told.get(lease) ?? operation.ttlSeconds,
      grantedMs: invokedMs ?? 0,
      endedMs,
    });
  }
  return lives;
}

/** By revision: when it was first told. */
function heardMs({ watches }: Evidence, log: EventLog): (revision: number) => number | undefined {
  const times = new Map<number, number | undefined>();
  for (const watch of watches)
    for (const [place, position] of watch.positions.entries()) times.set(position, watch.times[place]);
  return (revision) => {
    const position = log.heardAt.get(revision);
    return position === undefined ? undefined : times.get(position);
  };
}

/** By lease: the revision that its end took its keys at. */
function leaseEnds(evidence: Evidence, { model }: EventLog): ReadonlyMap<string, number> {
  const ends = new Map<string, number>();
  const isDeletedByClient = clientDeletions(evidence);
  for (const event of model.events) {
    const { before, revision } = event;
    if (event.type === 'put' || before === undefined || before.lease === '0' || isDeletedByClient(event)) continue;
    if (ends.get(before.lease) === revision) continue;
    ends.set(before.lease, revision);
    checkAllGone(model.list(revision), before.lease, revision);
  }
  return ends;
}

function checkAllGone(
  held: readonly { readonly key: string; readonly lease: string }[],
  lease: string,
  revision: number,
) {
  const left = held.find((one) => one.lease === lease);
  if (left === undefined) return;
  const detail = `lease ${lease} took keys with it at revision ${revision}, but left ${left.key}`;
  throw new Violation('a lease takes all its keys with it at once', detail);
}

/** Whether some client may have made a deletion. */
function clientDeletions(evidence: Evidence): (event: ModelEvent) => boolean {
  /** Keys with a deletion that got no answer, and keys and revisions of those that did. */
  const possible = new Set<string>();
  for (const { operation, outcome, hasFailed } of storeExchanges(evidence)) {
    if (hasFailed) continue;
    const keys =
      operation.kind === 'delete'
        ? [operation.key]
        : operation.kind === 'txn'
          ? [...operation.success, ...operation.failure].flatMap((step) => (step.kind === 'delete' ? [step.key] : []))
          : [];
    for (const key of keys) possible.add(outcome === undefined ? key : `${key} ${outcome.revision}`);
  }
  return ({ key, revision }) => possible.has(key) || possible.has(`${key} ${revision}`);
}
