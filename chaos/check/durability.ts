/**
 * What was acknowledged survives a power loss of every member: whoever reads afterwards sees the write or what replaced it, and the
 * store's revision has not gone back. Judged by values and real time; revisions are looked at only for the second.
 *
 * A write has certainly been replaced only by one that was invoked after it had returned, so whatever could explain a
 * value is let pass; linearizability.ts is stricter.
 */
import { type Evidence, type Exchange, storeExchanges } from './evidence.ts';
import { type Finding, notApplicable, passed, unknown } from './finding.ts';
import { Violation } from './violation.ts';

interface KeyStory {
  /** By value; keys that leases or transactions change are left out. */
  readonly writes: Map<string, Exchange>;
  /** Acknowledged before the power went, and invoked last of those. */
  last: Exchange | undefined;
  /** When the last deletion returned: it may have come after whatever was invoked before. */
  deletedAt: number;
}

/** Throws Violation. */
export function checkDurability(evidence: Evidence): Finding {
  const { powerLosses } = evidence;
  if (powerLosses.length === 0) return notApplicable('no power loss was taken down');
  let reads = 0;
  for (const lostAt of powerLosses) reads += checkLoss(evidence, lostAt);
  if (reads === 0) return unknown('nothing was read after a power loss');
  return passed(`${reads} reads after ${powerLosses.length} power losses found what had been acknowledged`);
}

function checkLoss(evidence: Evidence, lostAt: number): number {
  const exchanges = storeExchanges(evidence).filter((exchange) => !exchange.hasFailed);
  const keys = storiesBefore(exchanges, lostAt);
  let newest: { readonly revision: number; readonly exchange: Exchange } | undefined;
  for (const exchange of exchanges) {
    const { outcome, returnedAt = Number.POSITIVE_INFINITY } = exchange;
    if (outcome !== undefined && returnedAt < lostAt && outcome.revision > (newest?.revision ?? 0))
      newest = { revision: outcome.revision, exchange };
  }
  let reads = 0;
  for (const exchange of exchanges) {
    const { operation, outcome } = exchange;
    if (outcome === undefined || exchange.invokedAt < lostAt) continue;
    if (operation.kind === 'list' && operation.isLocal) continue;
    if (outcome.revision > 0 && newest !== undefined && outcome.revision < newest.revision) {
      const detail = `revision ${newest.revision} was acknowledged before the power went, ${outcome.revision} is current after it`;
      throw new Violation('no revision is lost with the power', detail, [newest.exchange, exchange]);
    }
    if (operation.kind !== 'get' || outcome.kind !== 'get') continue;
    reads += 1;
    const story = keys.get(operation.key);
    const lost = story === undefined ? undefined : lostTo(story, outcome.value);
    if (lost !== undefined) {
      const detail = `${JSON.stringify(lost.operation)} was acknowledged before the power went; after it the key holds ${JSON.stringify(outcome.value)}`;
      throw new Violation('what was acknowledged survives a power loss', detail, [lost, exchange]);
    }
  }
  return reads;
}

function storiesBefore(exchanges: ReturnType<typeof storeExchanges>, lostAt: number): ReadonlyMap<string, KeyStory> {
  const keys = new Map<string, KeyStory>();
  const shared = new Set<string>();
  for (const exchange of exchanges) {
    const { operation, outcome } = exchange;
    if (operation.kind === 'txn')
      for (const step of [...operation.success, ...operation.failure]) if (step.kind !== 'get') shared.add(step.key);
    if (operation.kind === 'put' && operation.lease !== undefined) shared.add(operation.key);
    if (operation.kind !== 'put' && operation.kind !== 'cas' && operation.kind !== 'delete') continue;
    const returnedAt = exchange.returnedAt ?? Number.POSITIVE_INFINITY;
    const story: KeyStory = keys.get(operation.key) ?? { writes: new Map(), last: undefined, deletedAt: -1 };
    keys.set(operation.key, story);
    if (operation.kind === 'delete') {
      story.deletedAt = Math.max(story.deletedAt, returnedAt);
      continue;
    }
    story.writes.set(operation.value, exchange);
    const isAcknowledged = outcome !== undefined && (outcome.kind !== 'cas' || outcome.succeeded);
    if (!isAcknowledged || returnedAt > lostAt) continue;
    if (story.last === undefined || exchange.invokedAt > story.last.invokedAt) story.last = exchange;
  }
  for (const key of shared) keys.delete(key);
  return keys;
}

/** The acknowledged write that `value` cannot have replaced. */
function lostTo({ writes, last, deletedAt }: KeyStory, value: string | undefined): Exchange | undefined {
  if (last === undefined) return undefined;
  if (value === undefined) return deletedAt > last.invokedAt ? undefined : last;
  const write = writes.get(value);
  if (write === undefined || write === last) return undefined;
  return (write.returnedAt ?? Number.POSITIVE_INFINITY) > last.invokedAt ? undefined : last;
}
