/**
 * Compaction is honest: what is compacted is answered by nobody who reads what is current, and is said to be compacted only when
 * somebody has asked for it. (That nothing is skipped in silence is for the checkers of watches.)
 */
import { type Evidence, type Exchange, exchangesOf } from './evidence.ts';
import { type Finding, notApplicable, passed } from './finding.ts';
import { Violation } from './violation.ts';

/** Throws Violation. */
export function checkCompaction(evidence: Evidence): Finding {
  const compactions = exchangesOf(evidence, 'compact');
  // A store that compacts by itself is nobody's to check.
  if (compactions.length === 0) return notApplicable('nobody asked for a compaction');
  checkReads(evidence);
  const isAsked = (wanted: (revision: number) => boolean, before: number) =>
    compactions.some(
      ({ operation, hasFailed, invokedAt }) => !hasFailed && invokedAt < before && wanted(operation.revision),
    );
  for (const exchange of exchangesOf(evidence, 'list', 'compact')) {
    const { operation, isCompacted, returnedAt = 0 } = exchange;
    if (!isCompacted) continue;
    const asked = operation.kind === 'list' ? operation.at : operation.revision - 1;
    if (!isAsked((revision) => revision > asked, returnedAt))
      throw new Violation(
        'compacted is what somebody compacted',
        `${JSON.stringify(operation)} was refused as compacted, but nobody had asked for a compaction beyond ${asked}`,
        [exchange],
      );
  }
  for (const { record, positions } of evidence.watches) {
    const place = record.answers.findIndex((answer) => answer.kind === 'compacted');
    const answer = record.answers[place];
    if (answer !== undefined && !isAsked((revision) => revision === answer.revision, positions[place] ?? 0))
      throw new Violation(
        'compacted is what somebody compacted',
        `${record.name} ended as compacted at ${answer.revision}, but nobody had asked for that`,
      );
  }
  return passed(`${compactions.length} compactions`);
}

function checkReads(evidence: Evidence): void {
  const moments: { readonly at: number; readonly exchange: Exchange }[] = [];
  for (const exchange of exchangesOf(evidence, 'list', 'compact')) {
    if (exchange.outcome === undefined) continue;
    const at = exchange.operation.kind === 'compact' ? (exchange.returnedAt ?? 0) : exchange.invokedAt;
    moments.push({ at, exchange });
  }
  moments.sort((a, b) => a.at - b.at);
  let newest: { readonly revision: number; readonly exchange: Exchange } | undefined;
  for (const { exchange } of moments) {
    const { operation } = exchange;
    if (operation.kind === 'compact') {
      if (operation.revision > (newest?.revision ?? 0)) newest = { revision: operation.revision, exchange };
    } else if (operation.kind === 'list' && operation.at > 0 && !operation.isLocal && newest !== undefined) {
      if (operation.at < newest.revision)
        throw new Violation(
          'what is compacted is read no more',
          `a list at ${operation.at} was answered after compaction up to ${newest.revision} had been`,
          [newest.exchange, exchange],
        );
    }
  }
}
