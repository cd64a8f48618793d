/**
 * Records of runs as JUnit XML, as CI systems show it: a test suite per run, a test case per check. A check without a verdict
 * is an error, because nothing may pass for not having been judged. A run that failed without a check that did gets a case
 * of its own, so that no failure is without a red line.
 */
import { assert } from '../../src/env/assert.ts';
import { escapeXml } from './escape.ts';
import type { RecordedCheck, RunRecord } from './run-record.ts';

/** What is shown of a failure: what was broken, what was seen, and how to see it again. */
function failureText(record: RunRecord, check: RecordedCheck): string {
  const { violation } = record;
  return [
    ...(check.detail === undefined ? [] : [check.detail]),
    ...(violation === undefined ? [] : [violation.property, violation.detail]),
    `Run it again with: ${record.command}`,
    ...(record.commit === undefined ? [] : [`Commit: ${record.commit}`]),
  ].join('\n');
}

function testCase(record: RunRecord, check: RecordedCheck): string {
  const open = `    <testcase classname="${escapeXml(`keelson.chaos.${record.title}`)}" name="${escapeXml(check.name)}"`;
  if (check.verdict === 'passed') return `${open}/>`;
  const isFailure = check.verdict === 'failed';
  const property = record.violation?.check === undefined || record.violation.check === check.name;
  const message = isFailure
    ? ((property ? record.violation?.property : undefined) ?? check.detail ?? `${check.name} failed`)
    : (check.detail ?? `${check.name} came to no verdict`);
  const element = isFailure ? 'failure' : 'error';
  const type = isFailure ? 'violation' : 'no-verdict';
  return `${open}>\n      <${element} message="${escapeXml(message)}" type="${type}">${escapeXml(failureText(record, check))}</${element}>\n    </testcase>`;
}

/** The checks, and one for the run itself where no check says what the run says. */
function casesOf(record: RunRecord): readonly RecordedCheck[] {
  const isSaid = record.verdict === 'passed' || record.checks.some((check) => check.verdict === record.verdict);
  if (isSaid && record.checks.length > 0) return record.checks;
  return [...record.checks, { name: record.violation?.check ?? 'the run', verdict: record.verdict }];
}

const seconds = (milliseconds: number): string => (milliseconds / 1000).toFixed(3);

interface Counts {
  readonly tests: number;
  readonly failures: number;
  readonly errors: number;
  readonly durationMs: number;
}

const attributes = ({ tests, failures, errors, durationMs }: Counts): string =>
  `tests="${tests}" failures="${failures}" errors="${errors}" time="${seconds(durationMs)}"`;

function suite(record: RunRecord): { readonly xml: string; readonly counts: Counts } {
  const cases = casesOf(record);
  const counts = {
    tests: cases.length,
    failures: cases.filter((check) => check.verdict === 'failed').length,
    errors: cases.filter((check) => check.verdict === 'unknown').length,
    durationMs: record.durationMs,
  };
  assert(counts.tests > 0, 'a run has at least one case');
  const properties = Object.entries({
    world: record.world,
    command: record.command,
    ...(record.commit === undefined ? {} : { commit: record.commit }),
    ...record.figures,
  }).map(([name, value]) => `      <property name="${escapeXml(name)}" value="${escapeXml(String(value))}"/>`);
  const xml = [
    `  <testsuite name="${escapeXml(record.title)}" ${attributes(counts)} skipped="0">`,
    '    <properties>',
    ...properties,
    '    </properties>',
    ...cases.map((check) => testCase(record, check)),
    '  </testsuite>',
  ].join('\n');
  return { xml, counts };
}

export function renderJUnit(records: readonly RunRecord[]): string {
  const suites = records.map(suite);
  const sum = (figure: keyof Counts) => suites.reduce((total, { counts }) => total + counts[figure], 0);
  const total = {
    tests: sum('tests'),
    failures: sum('failures'),
    errors: sum('errors'),
    durationMs: sum('durationMs'),
  };
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites name="keelson chaos" ${attributes(total)}>`,
    ...suites.map(({ xml }) => xml),
    '</testsuites>',
    '',
  ].join('\n');
}
