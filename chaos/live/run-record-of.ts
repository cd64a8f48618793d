/** A run of real processes in the words of the run record, for the report and for machines. */
import { unreachable } from '../../src/env/assert.ts';
import type { Operation, Outcome, TxnStep } from '../check/history.ts';
import type { RecordedOperation, RunRecord } from '../report/run-record.ts';
import type { Scenario } from '../scenario/scenario.ts';
import type { JournalEntry } from './run-journal.ts';
import type { RunResult } from './run-scenario.ts';

export interface RecordContext {
  readonly scenario: Scenario;
  readonly members: readonly string[];
  readonly command: string;
  readonly commit: string | undefined;
}

export function runRecordOf(result: RunResult, { scenario, members, command, commit }: RecordContext): RunRecord {
  const { verdict, states, links, faults, durationMs, figures } = result;
  return {
    format: 'keelson-run',
    version: 1,
    title: scenario.name,
    description: scenario.description,
    world: 'processes',
    command,
    ...(commit === undefined ? {} : { commit }),
    durationMs,
    verdict: verdict.verdict,
    ...(verdict.violation === undefined ? {} : { violation: verdict.violation }),
    members,
    states,
    links,
    faults,
    operations: result.operations.map(toRecorded),
    checks: verdict.checks,
    figures,
  };
}

function toRecorded({
  id,
  client,
  member,
  operation,
  startMs,
  endMs,
  outcome,
  error,
}: JournalEntry): RecordedOperation {
  const isRead = operation.kind === 'get' || operation.kind === 'list';
  const answer = outcome === undefined ? error : answerText(outcome);
  return {
    id,
    client,
    ...(member === undefined ? {} : { member }),
    kind: operation.kind,
    text: operationText(operation),
    startMs,
    ...(endMs === undefined ? {} : { endMs }),
    // A read that failed changed nothing, whatever became of it.
    outcome: error === undefined && endMs !== undefined ? 'ok' : isRead ? 'failed' : 'unknown',
    ...(answer === undefined ? {} : { answer }),
  };
}

export function operationText(operation: Operation): string {
  switch (operation.kind) {
    case 'put':
      return `put ${operation.key} = ${operation.value}`;
    case 'get':
    case 'delete':
      return `${operation.kind} ${operation.key}`;
    case 'cas':
      return `put ${operation.key} = ${operation.value} if it is ${operation.expected ?? 'absent'}`;
    case 'txn': {
      const { compare, success, failure } = operation;
      const condition = compare.map(({ key, value }) => `${key} is ${value ?? 'absent'}`).join(' and ') || 'always';
      return `if ${condition}: ${success.map(stepText).join(', ')}; else: ${failure.map(stepText).join(', ')}`;
    }
    case 'list':
      return `list${operation.at === 0 ? '' : ` at revision ${operation.at}`}${operation.isLocal ? ', as this member has it' : ''}`;
    case 'compact':
      return `compact up to revision ${operation.revision}`;
    default:
      return unreachable(operation);
  }
}

function stepText(step: TxnStep): string {
  return step.kind === 'put' ? `put ${step.key} = ${step.value}` : `${step.kind} ${step.key}`;
}

function answerText(outcome: Outcome): string {
  const at = `at revision ${outcome.revision}`;
  switch (outcome.kind) {
    case 'get':
      return outcome.value === undefined ? `absent ${at}` : `${outcome.value} (of ${outcome.modRevision}) ${at}`;
    case 'cas':
      return `${outcome.succeeded ? 'done' : 'not done'} ${at}`;
    case 'delete':
      return `${outcome.deleted ? 'deleted' : 'was absent'} ${at}`;
    case 'txn':
      return outcome.succeeded
        ? `done ${at}`
        : `else: ${outcome.found.map((value) => value ?? 'absent').join(', ')} ${at}`;
    case 'list':
      return `${outcome.keys.length} keys ${at}`;
    case 'put':
    case 'compact':
      return at;
    default:
      return unreachable(outcome);
  }
}
