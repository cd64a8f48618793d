/** Members that have come to the same revision hold the same, and that is what was committed. */
import type { EventLog } from './event-log.ts';
import type { Evidence } from './evidence.ts';
import { type Finding, notApplicable, passed } from './finding.ts';
import { Violation } from './violation.ts';

/** Throws Violation. */
export function checkMembers({ states }: Evidence, log: EventLog | undefined): Finding {
  if (states.length === 0) return notApplicable('no state of a member was taken down');
  const first = new Map<number, { readonly member: string; readonly keys: string }>();
  for (const { member, revision, keys: held } of states) {
    const keys = JSON.stringify(held.toSorted((a, b) => (a.key < b.key ? -1 : 1)).map(fieldsInOrder));
    const other = first.get(revision);
    if (other === undefined) first.set(revision, { member, keys });
    else if (other.keys !== keys) {
      const detail = `at revision ${revision}, ${other.member} holds ${other.keys} and ${member} holds ${keys}`;
      throw new Violation('equal revisions are equal states', detail);
    }
    if (log === undefined || revision > log.model.revision) continue;
    const expected = JSON.stringify(log.model.list(revision).map(fieldsInOrder));
    if (keys !== expected)
      throw new Violation(
        'every member holds what was committed',
        `${member} at ${revision}: ${keys}, want ${expected}`,
      );
  }
  return passed(`${states.length} states at ${first.size} revisions`);
}

function fieldsInOrder(one: {
  readonly key: string;
  readonly value: string;
  readonly createRevision: number;
  readonly modRevision: number;
  readonly version: number;
  readonly lease: string;
}): unknown {
  return [one.key, one.value, one.createRevision, one.modRevision, one.version, one.lease];
}
