import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  addQuantity,
  age,
  applyDefaults,
  canonicalQuantity,
  compareQuantity,
  conflict,
  decodeObject,
  formatLabelSelector,
  formatQuantity,
  gvr,
  invalid,
  matchesFieldSelector,
  matchesLabelSelector,
  notFound,
  parseFieldSelector,
  parseLabelSelector,
  parseQuantity,
  quantityToMillis,
  quantityToNumber,
  resourceSchema,
  scheme,
  selectorFromObject,
  statusOf,
  toPartialMetadata,
  toTable,
  type JsonObject,
  type KubeObject,
} from '../../../src/control/api/index.ts';

const nowMs = Date.parse('2026-01-01T00:10:00Z');

function defaulted(apiVersion: string, resource: string, content: JsonObject): KubeObject {
  const schema = resourceSchema(apiVersion, resource);
  const decoded = decodeObject({
    apiVersion,
    kind: schema.kind,
    ...content,
    metadata: { name: 'x', creationTimestamp: '2026-01-01T00:05:00Z', ...content['metadata'] },
  }).object;
  applyDefaults(decoded, schema);
  return decoded;
}

function row(apiVersion: string, resource: string, content: JsonObject): readonly unknown[] {
  const schema = resourceSchema(apiVersion, resource);
  return toTable([defaulted(apiVersion, resource, content)], schema, nowMs)['rows'][0].cells;
}

test('every resource has a message, a list, and as many cells as columns', () => {
  for (const resource of scheme.resources()) {
    const empty = {
      apiVersion: 'v1',
      kind: 'x',
      metadata: { name: 'x', uid: '', resourceVersion: '', creationTimestamp: '' },
    };
    assert.equal(resource.cells(empty, nowMs).length, resource.columns.length, resource.resource);
    assert(scheme.message(resource.message) !== undefined);
    assert.equal(
      scheme.resource(
        gvr(resource.group === '' ? resource.version : `${resource.group}/${resource.version}`, resource.resource),
      ),
      resource,
    );
  }
  assert.equal(scheme.resourceOfKind('apps/v1', 'Deployment')?.resource, 'deployments');
  assert.equal(
    scheme.messageOfKind('apps/v1', 'DeleteOptions')?.name,
    'io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions',
  );
  assert.equal(scheme.messageOfKind('policy/v1', 'Eviction')?.name, 'io.k8s.api.policy.v1.Eviction');
});

test('quantities have upstream canonical form', () => {
  const cases = {
    1: '1',
    '1000m': '1',
    0.5: '500m',
    '1.5Gi': '1536Mi',
    '1024Ki': '1Mi',
    1000: '1k',
    '2e3': '2e3',
    '1e4': '10e3',
    '0.0000000001': '1n',
    '0.5Ki': '512',
    '0.1Ki': '102400m',
    '1025Mi': '1025Mi',
    '0Gi': '0',
    '-5m': '-5m',
    '.5': '500m',
  };
  for (const [text, wanted] of Object.entries(cases)) assert.equal(canonicalQuantity(text), wanted, text);
  assert.throws(() => parseQuantity('abc'), /quantities must match the regular expression/);
  assert.throws(() => parseQuantity('1i'), /unable to parse quantity's suffix/);
  assert.equal(formatQuantity(addQuantity(parseQuantity('1Gi'), parseQuantity('512Mi'))), '1536Mi');
  assert(compareQuantity(parseQuantity('1'), parseQuantity('999m')) > 0);
  assert.equal(quantityToNumber(parseQuantity('1Ki')), 1024);
  assert.equal(quantityToMillis(parseQuantity('1.5')), 1500);
});

test('label selectors', () => {
  const labels = { app: 'a', tier: 'web' };
  const cases: readonly (readonly [string, boolean])[] = [
    ['', true],
    ['app=a', true],
    ['app==a,tier!=db', true],
    ['app in (a, b),tier notin (db)', true],
    ['app,!gone', true],
    ['!app', false],
    ['app in (b)', false],
    ['missing!=x', true],
    ['missing notin (x)', true],
  ];
  for (const [text, wanted] of cases)
    assert.equal(matchesLabelSelector(parseLabelSelector(text), labels), wanted, text);
  for (const text of ['a b', 'a in b', '=x', 'a=b=c', '-a=b'])
    assert.throws(() => parseLabelSelector(text), /unable to parse/, text);
  const object = {
    matchLabels: { app: 'a' },
    matchExpressions: [{ key: 'tier', operator: 'In', values: ['web', 'db'] }],
  };
  assert.equal(formatLabelSelector(selectorFromObject(object)), 'app=a,tier in (db,web)');
});

test('field selectors read what a kind allows', () => {
  const pods = resourceSchema('v1', 'pods');
  const pod = defaulted('v1', 'pods', { spec: { nodeName: 'n', containers: [] }, status: { phase: 'Running' } });
  const matches = (text: string) =>
    matchesFieldSelector(parseFieldSelector(text), (field) => pods.selectableFields[field]?.(pod));
  assert(matches('spec.nodeName=n,status.phase!=Failed'));
  assert(!matches('spec.nodeName=m'));
  assert(!matches('status.phase==Pending'));
});

test('pods print as kubectl shows them', () => {
  const spec = {
    containers: [
      { name: 'a', image: 'i' },
      { name: 'b', image: 'i' },
    ],
    nodeName: 'n',
  };
  const running = { name: 'a', ready: true, restartCount: 0, state: { running: {} } };
  const crashed = {
    name: 'b',
    ready: false,
    restartCount: 2,
    state: { waiting: { reason: 'CrashLoopBackOff' } },
    lastState: { terminated: { exitCode: 1, finishedAt: '2026-01-01T00:09:00Z' } },
  };
  const status = {
    phase: 'Running',
    podIP: '10.0.0.1',
    podIPs: [{ ip: '10.0.0.1' }],
    containerStatuses: [running, crashed],
  };
  assert.deepEqual(row('v1', 'pods', { spec, status }), [
    'x',
    '1/2',
    'CrashLoopBackOff',
    '2 (60s ago)',
    '5m',
    '10.0.0.1',
    'n',
    '<none>',
    '<none>',
  ]);
  assert.deepEqual(row('v1', 'pods', { spec, status: { phase: 'Pending' } }).slice(1, 4), ['0/2', 'Pending', '0']);
  const init = {
    initContainerStatuses: [{ name: 'i', restartCount: 0, state: { waiting: { reason: 'PodInitializing' } } }],
  };
  const withInit = { ...spec, initContainers: [{ name: 'i', image: 'i' }] };
  assert.equal(row('v1', 'pods', { spec: withInit, status: { phase: 'Pending', ...init } })[2], 'Init:0/1');
  const deleted = { metadata: { deletionTimestamp: '2026-01-01T00:09:00Z' }, spec, status };
  assert.equal(row('v1', 'pods', deleted)[2], 'Terminating');
});

test('deployments, services, nodes, jobs and events print as kubectl shows them', () => {
  const template = { metadata: { labels: { app: 'a' } }, spec: { containers: [{ name: 'c', image: 'i:1' }] } };
  assert.deepEqual(
    row('apps/v1', 'deployments', {
      spec: { replicas: 3, selector: { matchLabels: { app: 'a' } }, template },
      status: { readyReplicas: 2, updatedReplicas: 3, availableReplicas: 2 },
    }),
    ['x', '2/3', 3, 2, '5m', 'c', 'i:1', 'app=a'],
  );
  assert.deepEqual(
    row('v1', 'services', {
      spec: {
        type: 'NodePort',
        clusterIP: '10.0.0.1',
        ports: [
          { port: 80, nodePort: 30080 },
          { port: 53, protocol: 'UDP' },
        ],
      },
    }),
    ['x', 'NodePort', '10.0.0.1', '<none>', '80:30080/TCP,53/UDP', '5m', '<none>'],
  );
  const node = row('v1', 'nodes', {
    metadata: { labels: { 'node-role.kubernetes.io/control-plane': '' } },
    spec: { unschedulable: true },
    status: { conditions: [{ type: 'Ready', status: 'True' }], nodeInfo: { kubeletVersion: 'v1' } },
  });
  assert.deepEqual(node.slice(0, 5), ['x', 'Ready,SchedulingDisabled', 'control-plane', '5m', 'v1']);
  const job = row('batch/v1', 'jobs', {
    spec: { template: { spec: { containers: [] } } },
    status: {
      succeeded: 1,
      startTime: '2026-01-01T00:05:00Z',
      completionTime: '2026-01-01T00:05:07Z',
      conditions: [{ type: 'Complete', status: 'True' }],
    },
  });
  assert.deepEqual(job.slice(0, 5), ['x', 'Complete', '1/1', '7s', '5m']);
  const event = row('v1', 'events', {
    involvedObject: { kind: 'Pod', name: 'p' },
    reason: 'Started',
    message: 'hello\n',
    type: 'Normal',
    lastTimestamp: '2026-01-01T00:09:50Z',
    count: 3,
    source: { component: 'kubelet', host: 'n' },
  });
  assert.deepEqual(event, ['10s', 'Normal', 'Started', 'pod/p', '', 'kubelet, n', 'hello', '<unknown>', 3, 'x']);
});

test('ages have at most two units', () => {
  const before = (seconds: number) => age(new Date(nowMs - seconds * 1000).toISOString(), nowMs);
  const cases = {
    0: '0s',
    119: '119s',
    120: '2m',
    125: '2m5s',
    600: '10m',
    10800: '3h',
    12000: '3h20m',
    86400: '24h',
    180000: '2d2h',
    864000: '10d',
    100000000: '3y62d',
  };
  for (const [seconds, wanted] of Object.entries(cases)) assert.equal(before(Number(seconds)), wanted, seconds);
  assert.equal(age(undefined, nowMs), '<unknown>');
});

test('defaults are upstream defaults', () => {
  const pod = defaulted('v1', 'pods', {
    spec: {
      containers: [
        { name: 'a', image: 'i', resources: { limits: { cpu: 1 } }, readinessProbe: { httpGet: { port: 80 } } },
      ],
      volumes: [{ name: 'v' }],
    },
  });
  assert.deepEqual(pod['spec'], {
    volumes: [{ name: 'v', emptyDir: {} }],
    containers: [
      {
        name: 'a',
        image: 'i',
        resources: { limits: { cpu: '1' }, requests: { cpu: '1' } },
        readinessProbe: {
          httpGet: { path: '/', port: 80, scheme: 'HTTP' },
          timeoutSeconds: 1,
          periodSeconds: 10,
          successThreshold: 1,
          failureThreshold: 3,
        },
        terminationMessagePath: '/dev/termination-log',
        terminationMessagePolicy: 'File',
        imagePullPolicy: 'Always',
      },
    ],
    restartPolicy: 'Always',
    terminationGracePeriodSeconds: 30,
    dnsPolicy: 'ClusterFirst',
    securityContext: {},
    schedulerName: 'default-scheduler',
    enableServiceLinks: true,
  });
  const pullPolicy = (image: string) =>
    defaulted('v1', 'pods', { spec: { containers: [{ name: 'a', image }] } })['spec'].containers[0].imagePullPolicy;
  assert.deepEqual(['i:latest', 'i:1', 'host:5000/i', 'i@sha256:0'].map(pullPolicy), [
    'Always',
    'IfNotPresent',
    'Always',
    'IfNotPresent',
  ]);
  const { spec } = defaulted('v1', 'services', { spec: { ports: [{ port: 80 }] } });
  assert.deepEqual(spec, {
    ports: [{ protocol: 'TCP', port: 80, targetPort: 80 }],
    type: 'ClusterIP',
    sessionAffinity: 'None',
    internalTrafficPolicy: 'Cluster',
  });
  assert.deepEqual(defaulted('v1', 'secrets', { stringData: { a: 'b' } })['data'], { a: 'Yg==' });
  const job = defaulted('batch/v1', 'jobs', { spec: { template: { spec: {} } } })['spec'];
  assert.deepEqual(
    [job.completions, job.parallelism, job.backoffLimit, job.completionMode, job.suspend],
    [1, 1, 6, 'NonIndexed', false],
  );
  assert.deepEqual(defaulted('v1', 'namespaces', {}).metadata.labels, { 'kubernetes.io/metadata.name': 'x' });
});

test('applying defaults twice changes nothing', () => {
  for (const [apiVersion, resource] of [
    ['v1', 'pods'],
    ['apps/v1', 'deployments'],
    ['batch/v1', 'jobs'],
    ['v1', 'services'],
  ] as const) {
    const once = defaulted(apiVersion, resource, { spec: {} });
    const twice = structuredClone(once);
    applyDefaults(twice, resourceSchema(apiVersion, resource));
    assert.equal(JSON.stringify(twice), JSON.stringify(once));
  }
});

test('status errors have upstream texts and details', () => {
  assert.deepEqual(notFound(gvr('apps/v1', 'deployments'), 'x').status, {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message: 'deployments.apps "x" not found',
    reason: 'NotFound',
    details: { name: 'x', group: 'apps', kind: 'deployments' },
    code: 404,
  });
  assert.equal(
    conflict(gvr('v1', 'pods'), 'x').message,
    'Operation cannot be fulfilled on pods "x": the object has been modified; please apply your changes to the latest version and try again',
  );
  const causes = [
    { reason: 'FieldValueRequired', field: 'spec.a', message: 'Required value' },
    { reason: 'FieldValueInvalid', field: 'spec.b', message: 'Invalid value: 1: no' },
  ] as const;
  const error = invalid({ group: 'apps', kind: 'Deployment' }, 'x', causes);
  assert.equal(error.message, 'Deployment.apps "x" is invalid: [spec.a: Required value, spec.b: Invalid value: 1: no]');
  assert.equal(error.status.code, 422);
  assert.equal(statusOf(new Error('boom')).message, 'Internal error occurred: boom');
});

test('a table carries metadata alone unless the whole object is asked for', () => {
  const pods = resourceSchema('v1', 'pods');
  const pod = defaulted('v1', 'pods', { spec: {} });
  assert.deepEqual(toTable([pod], pods, nowMs)['rows'][0].object, toPartialMetadata(pod));
  assert.equal(toTable([pod], pods, nowMs, 'Object')['rows'][0].object, pod);
  assert.equal(toTable([pod], pods, nowMs, 'None')['rows'][0].object, undefined);
});
