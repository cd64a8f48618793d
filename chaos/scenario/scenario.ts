/**
 * A scenario: a cluster, what clients do, and what goes wrong when, read from a YAML file (docs/chaos-scenarios.md has the
 * schema). `parseScenario` refuses a file that is wrong with file:line:column; `compileScenario` makes the schedule of it, which
 * is data: the same for the same seed, and good for real processes and for the simulation.
 */
import type { TimedFault } from './faults.ts';
import type { DrawSource, FaultTemplate } from './fault-word-parts.ts';
import { readFaultWord } from './fault-words.ts';
import { Fields } from './fields.ts';
import { BadScenario, parseYamlTree, type YamlNode } from './yaml-tree.ts';

/** What clients may do, with the weight that each has when a scenario does not say. */
export const usualMix = { put: 35, get: 30, cas: 15, delete: 6, txn: 8, list: 6, compact: 0 } as const;
export type OperationWord = keyof typeof usualMix;

export interface ScenarioWorkload {
  readonly clients: number;
  readonly keys: number;
  /** Mean pause of a client between two operations. */
  readonly thinkMs: number;
  readonly seconds: number;
  /** Weights; those that are 0 never happen. */
  readonly mix: Readonly<Record<OperationWord, number>>;
}

export interface ScenarioCluster {
  readonly members: number;
  readonly isTls: boolean;
  readonly flags: readonly string[];
}

/** What must be true of writes that begin and end while a fault lasts: at least one is acknowledged, or none is. */
export type Expectation = 'writes' | 'noWrites';

export interface ScenarioFault {
  readonly atMs: number;
  /** Again and again, up to `untilMs` or, without it, the end of the workload. */
  readonly everyMs: number | undefined;
  readonly untilMs: number | undefined;
  readonly expect: Expectation | undefined;
  readonly template: FaultTemplate;
}

export interface Scenario {
  readonly name: string;
  readonly description: string;
  readonly cluster: ScenarioCluster;
  readonly workload: ScenarioWorkload;
  readonly faults: readonly ScenarioFault[];
}

export interface ExpectingFault extends TimedFault {
  readonly expect: Expectation | undefined;
}

const versionCurrent = 1;
/** What real processes can stand for, and a person can follow. */
const faultsMax = 10_000;
const everyMinMs = 50;
const everyUsual = { clients: 6, keys: 6, thinkMs: 40, seconds: 20, members: 3 } as const;

/** Reads a scenario. `members` stands for the file's own number. Throws BadScenario. */
export function parseScenario(text: string, fileName: string, members?: number): Scenario {
  const file = new Fields(fileName, parseYamlTree(text, fileName), 'the scenario');
  const version = file.wholeNumber('version', { min: 1, max: 999_999 }) ?? versionCurrent;
  if (version > versionCurrent)
    throw file.wrong('version', `${versionCurrent} (a newer version of this program wrote it, and may read it)`);
  const name = file.required('name', file.text('name', 'a name'), 'a name such as partition-leader');
  if (!/^[a-z0-9][a-z0-9-]{0,62}$/.test(name))
    throw file.wrong('name', 'lower-case letters, digits and dashes, 63 at the most');
  const description = file.required('description', file.text('description', 'a sentence'), 'a sentence or two');
  const told = readCluster(file.section('cluster'));
  const cluster = members === undefined ? told : { ...told, members };
  const workload = readWorkload(file.section('workload'));
  const faults = (file.list('faults') ?? []).map((node) => readFault(fileName, node, cluster, workload));
  file.finish();
  const scenario = { name, description: description.trim(), cluster, workload, faults };
  const strikes = faults.reduce((sum, fault) => sum + timesOf(fault, workload.seconds).length, 0);
  if (strikes > faultsMax)
    throw new BadScenario(fileName, file.place, `the faults strike ${strikes} times; want ${faultsMax} at the most`);
  return scenario;
}

function readCluster(fields: Fields | undefined): ScenarioCluster {
  if (fields === undefined) return { members: everyUsual.members, isTls: true, flags: [] };
  const members = fields.wholeNumber('members', { min: 1, max: 7 }) ?? everyUsual.members;
  const isTls = fields.fact('tls') ?? true;
  const flags = (fields.list('flags') ?? []).map((node) => {
    const wanted = "one of etcd's flags with its value, such as --snapshot-count=100";
    const flag = fields.textOf(node, 'flags', wanted);
    if (!/^--[a-z0-9-]+(=.*)?$/.test(flag))
      throw fields.bad(node.place, `${JSON.stringify(flag)} is no flag; want ${wanted}`);
    return flag;
  });
  fields.finish();
  return { members, isTls, flags };
}

function readWorkload(fields: Fields | undefined): ScenarioWorkload {
  const { clients, keys, thinkMs, seconds } = everyUsual;
  if (fields === undefined) return { clients, keys, thinkMs, seconds, mix: usualMix };
  const workload = {
    clients: fields.wholeNumber('clients', { min: 1, max: 64 }) ?? clients,
    keys: fields.wholeNumber('keys', { min: 1, max: 1_000 }) ?? keys,
    thinkMs: fields.durationMs('think', 1) ?? thinkMs,
    seconds: fields.wholeNumber('seconds', { min: 1, max: 3_600 }) ?? seconds,
    mix: readMix(fields.section('mix')),
  };
  fields.finish();
  return workload;
}

function readMix(fields: Fields | undefined): Readonly<Record<OperationWord, number>> {
  if (fields === undefined) return usualMix;
  const words = Object.keys(usualMix) as OperationWord[];
  const weights = words.map((word) => [word, fields.wholeNumber(word, { min: 0, max: 1_000 }) ?? 0] as const);
  fields.finish();
  if (weights.every(([, weight]) => weight === 0))
    throw fields.bad(fields.place, 'mix lets clients do nothing; want at least one weight above 0');
  return Object.fromEntries(weights) as Record<OperationWord, number>;
}

function readFault(
  fileName: string,
  node: YamlNode,
  { members }: ScenarioCluster,
  { seconds }: ScenarioWorkload,
): ScenarioFault {
  const fields = new Fields(fileName, node, 'a fault');
  const atMs = fields.required('at', fields.durationMs('at'), 'when it strikes, such as 5s');
  if (atMs >= seconds * 1_000) throw fields.wrong('at', `a time before the workload ends after ${seconds}s`);
  const everyMs = fields.durationMs('every', everyMinMs);
  const untilMs = fields.durationMs('until');
  if (untilMs !== undefined && everyMs === undefined)
    throw fields.wrong('every', 'how long after a strike the next one is due, as there is an until');
  if (untilMs !== undefined && untilMs <= atMs) throw fields.wrong('until', 'a time after at');
  const expect = fields.choice('expect', ['writes', 'noWrites']);
  const template = readFaultWord({ fields, members, isRepeated: everyMs !== undefined });
  fields.finish();
  return { atMs, everyMs, untilMs, expect, template };
}

function timesOf({ atMs, everyMs, untilMs }: ScenarioFault, seconds: number): readonly number[] {
  const endMs = Math.min(untilMs ?? Number.POSITIVE_INFINITY, seconds * 1_000);
  if (everyMs === undefined) return atMs < endMs ? [atMs] : [];
  return Array.from({ length: Math.max(0, Math.ceil((endMs - atMs) / everyMs)) }, (_, index) => atMs + index * everyMs);
}

/** The schedule, in the order of time. `seconds` stands for the scenario's own. */
export function compileScenario(
  scenario: Scenario,
  random: DrawSource,
  seconds: number = scenario.workload.seconds,
): readonly ExpectingFault[] {
  const { members } = scenario.cluster;
  const due = scenario.faults
    .flatMap((fault) => timesOf(fault, seconds).map((atMs, occurrence) => ({ atMs, occurrence, fault })))
    .sort((a, b) => a.atMs - b.atMs);
  return due
    .flatMap(({ atMs, occurrence, fault: { template, expect } }) =>
      template({ random, members, occurrence }).map((part, index) => ({
        atMs: atMs + part.atMs,
        fault: part.fault,
        // What a word does to end itself is not what is expected of it.
        expect: index === 0 ? expect : undefined,
      })),
    )
    .sort((a, b) => a.atMs - b.atMs);
}
