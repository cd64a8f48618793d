/** The columns of the kinds that make pods. */
import { selectorFromObject, formatLabelSelector } from '../selectors.ts';
import type { JsonObject, KubeObject } from '../contract.ts';
import { ageOf, type Columns, define } from './define.ts';
import { age, formatLabels, humanDuration } from './text.ts';

function containers(spec: JsonObject | undefined): readonly [string, string] {
  const list: JsonObject[] = spec?.['template']?.spec?.containers ?? [];
  return [list.map((item) => item['name']).join(','), list.map((item) => item['image'] ?? '').join(',')];
}

function selectorText(selector: JsonObject | null | undefined): string {
  return selector ? formatLabelSelector(selectorFromObject(selector)) || '<none>' : '<none>';
}

const number = (value: unknown): number => (typeof value === 'number' ? value : 0);

function replicaCells(object: KubeObject, nowMs: number, selector: string): readonly unknown[] {
  return [
    object.metadata.name,
    number(object['spec']?.replicas),
    number(object['status']?.replicas),
    number(object['status']?.readyReplicas),
    ageOf(object, nowMs),
    ...containers(object['spec']),
    selector,
  ];
}

const replicaNames = [
  'Name',
  'Desired:integer',
  'Current:integer',
  'Ready:integer',
  'Age',
  'Containers!',
  'Images!',
  'Selector!',
];

function jobCompletions(job: KubeObject): string {
  const succeeded = number(job['status']?.succeeded);
  const { completions, parallelism } = job['spec'] ?? {};
  if (typeof completions === 'number') return `${succeeded}/${completions}`;
  return number(parallelism) > 1 ? `${succeeded}/1 of ${parallelism}` : `${succeeded}/1`;
}

function jobDuration(job: KubeObject, nowMs: number): string {
  const { startTime, completionTime } = job['status'] ?? {};
  if (!startTime) return '';
  return humanDuration((completionTime ? Date.parse(completionTime) : nowMs) - Date.parse(startTime));
}

function jobStatus(job: KubeObject): string {
  const has = (type: string) =>
    (job['status']?.conditions ?? []).some((item: JsonObject) => item['type'] === type && item['status'] === 'True');
  for (const word of ['Complete', 'Failed']) if (has(word)) return word;
  if (job.metadata.deletionTimestamp) return 'Terminating';
  for (const word of ['Suspended', 'FailureTarget', 'SuccessCriteriaMet']) if (has(word)) return word;
  return 'Running';
}

export const workloadColumns: Readonly<Record<string, Columns>> = {
  'apps/deployments': define(
    ['Name', 'Ready', 'Up-to-date', 'Available', 'Age', 'Containers!', 'Images!', 'Selector!'],
    (object, nowMs) => [
      object.metadata.name,
      `${number(object['status']?.readyReplicas)}/${number(object['spec']?.replicas)}`,
      number(object['status']?.updatedReplicas),
      number(object['status']?.availableReplicas),
      ageOf(object, nowMs),
      ...containers(object['spec']),
      selectorText(object['spec']?.selector),
    ],
  ),
  'apps/replicasets': define(replicaNames, (object, nowMs) =>
    replicaCells(object, nowMs, selectorText(object['spec']?.selector)),
  ),
  '/replicationcontrollers': define(replicaNames, (object, nowMs) =>
    replicaCells(object, nowMs, formatLabels(object['spec']?.selector)),
  ),
  'apps/statefulsets': define(['Name', 'Ready', 'Age', 'Containers!', 'Images!'], (object, nowMs) => [
    object.metadata.name,
    `${number(object['status']?.readyReplicas)}/${number(object['spec']?.replicas)}`,
    ageOf(object, nowMs),
    ...containers(object['spec']),
  ]),
  'apps/daemonsets': define(
    [
      'Name',
      'Desired:integer',
      'Current:integer',
      'Ready:integer',
      'Up-to-date:integer',
      'Available:integer',
      'Node Selector',
      'Age',
      'Containers!',
      'Images!',
      'Selector!',
    ],
    (object, nowMs) => {
      const status: JsonObject = object['status'] ?? {};
      return [
        object.metadata.name,
        number(status['desiredNumberScheduled']),
        number(status['currentNumberScheduled']),
        number(status['numberReady']),
        number(status['updatedNumberScheduled']),
        number(status['numberAvailable']),
        formatLabels(object['spec']?.template?.spec?.nodeSelector),
        ageOf(object, nowMs),
        ...containers(object['spec']),
        selectorText(object['spec']?.selector),
      ];
    },
  ),
  'apps/controllerrevisions': define(['Name', 'Controller', 'Revision', 'Age'], (object, nowMs) => {
    const owner = (object.metadata.ownerReferences ?? []).find((reference) => reference.controller);
    const group = owner?.apiVersion.includes('/') ? `.${owner.apiVersion.split('/')[0]}` : '';
    const controller = owner === undefined ? '<none>' : `${owner.kind.toLowerCase()}${group}/${owner.name}`;
    return [object.metadata.name, controller, number(object['revision']), ageOf(object, nowMs)];
  }),
  '/podtemplates': define(['Name', 'Containers', 'Images', 'Pod Labels'], (object) => [
    object.metadata.name,
    ...containers(object),
    formatLabels(object['template']?.metadata?.labels),
  ]),
  'batch/jobs': define(
    ['Name', 'Status', 'Completions', 'Duration', 'Age', 'Containers!', 'Images!', 'Selector!'],
    (job, nowMs) => [
      job.metadata.name,
      jobStatus(job),
      jobCompletions(job),
      jobDuration(job, nowMs),
      ageOf(job, nowMs),
      ...containers(job['spec']),
      selectorText(job['spec']?.selector),
    ],
  ),
  'batch/cronjobs': define(
    [
      'Name',
      'Schedule',
      'Timezone',
      'Suspend:boolean',
      'Active:integer',
      'Last Schedule',
      'Age',
      'Containers!',
      'Images!',
      'Selector!',
    ],
    (object, nowMs) => [
      object.metadata.name,
      object['spec']?.schedule ?? '',
      object['spec']?.timeZone ?? '<none>',
      object['spec']?.suspend === true ? 'True' : 'False',
      (object['status']?.active ?? []).length,
      object['status']?.lastScheduleTime ? age(object['status'].lastScheduleTime, nowMs) : '<none>',
      ageOf(object, nowMs),
      ...containers(object['spec']?.jobTemplate?.spec),
      selectorText(object['spec']?.jobTemplate?.spec?.selector),
    ],
  ),
  'policy/poddisruptionbudgets': define(
    ['Name', 'Min Available', 'Max Unavailable', 'Allowed Disruptions:integer', 'Age'],
    (object, nowMs) => [
      object.metadata.name,
      String(object['spec']?.minAvailable ?? 'N/A'),
      String(object['spec']?.maxUnavailable ?? 'N/A'),
      number(object['status']?.disruptionsAllowed),
      ageOf(object, nowMs),
    ],
  ),
};
