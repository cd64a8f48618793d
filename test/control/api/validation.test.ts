import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  applyDefaults,
  decodeObject,
  ipVersion,
  type JsonObject,
  type KubeObject,
  resourceSchema,
  validateObject,
} from '../../../src/control/api/index.ts';

function object(apiVersion: string, resource: string, content: JsonObject): KubeObject {
  const schema = resourceSchema(apiVersion, resource);
  const metadata = { name: 'x', ...(schema.isNamespaced ? { namespace: 'default' } : {}), ...content['metadata'] };
  const decoded = decodeObject({ apiVersion, kind: schema.kind, ...content, metadata }).object;
  applyDefaults(decoded, schema);
  return decoded;
}

function problems(
  apiVersion: string,
  resource: string,
  now: JsonObject,
  before?: JsonObject,
  subresource = '',
): string[] {
  const schema = resourceSchema(apiVersion, resource);
  const old = before === undefined ? undefined : object(apiVersion, resource, before);
  const errors = validateObject(object(apiVersion, resource, now), old, schema, subresource);
  return errors.map((error) => `${error.field}: ${error.message}`);
}

const podSpec = { containers: [{ name: 'c', image: 'i' }] };
const deployment = (spec: JsonObject = {}, labels: JsonObject = { app: 'a' }) => ({
  spec: { selector: { matchLabels: { app: 'a' } }, template: { metadata: { labels }, spec: podSpec }, ...spec },
});

test('objects as people write them are valid', () => {
  assert.deepEqual(problems('v1', 'pods', { spec: podSpec }), []);
  assert.deepEqual(problems('apps/v1', 'deployments', deployment()), []);
  assert.deepEqual(problems('v1', 'services', { spec: { ports: [{ port: 80 }], selector: { app: 'a' } } }), []);
  assert.deepEqual(problems('v1', 'configmaps', { data: { 'a.conf': 'x' } }), []);
  assert.deepEqual(problems('v1', 'secrets', { stringData: { password: 'x' } }), []);
  assert.deepEqual(problems('v1', 'nodes', {}), []);
  assert.deepEqual(problems('v1', 'namespaces', {}), []);
  assert.deepEqual(problems('coordination.k8s.io/v1', 'leases', { spec: { holderIdentity: 'a' } }), []);
  assert.deepEqual(
    problems('batch/v1', 'jobs', { spec: { template: { spec: { ...podSpec, restartPolicy: 'Never' } } } }),
    [],
  );
  assert.deepEqual(
    problems('rbac.authorization.k8s.io/v1', 'clusterroles', {
      metadata: { name: 'system:node' },
      rules: [{ verbs: ['get'], apiGroups: [''], resources: ['pods'] }],
    }),
    [],
  );
});

test('names are refused in upstream words', () => {
  assert.deepEqual(problems('v1', 'pods', { metadata: { name: 'A_b' }, spec: podSpec }), [
    `metadata.name: Invalid value: "A_b": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')`,
  ]);
  assert.match(
    problems('v1', 'services', { metadata: { name: '1a' }, spec: { ports: [{ port: 1 }] } })[0] ?? '',
    /DNS-1035/,
  );
  assert.match(problems('v1', 'namespaces', { metadata: { name: 'a.b' } })[0] ?? '', /RFC 1123 label/);
});

test('a deployment is refused in upstream words', () => {
  assert.deepEqual(problems('apps/v1', 'deployments', deployment({ replicas: -1 })), [
    'spec.replicas: Invalid value: -1: must be greater than or equal to 0',
  ]);
  assert.deepEqual(problems('apps/v1', 'deployments', deployment({}, { app: 'b' })), [
    'spec.template.metadata.labels: Invalid value: {"app":"b"}: `selector` does not match template `labels`',
  ]);
  assert.deepEqual(problems('apps/v1', 'deployments', deployment({ selector: undefined })), [
    'spec.selector: Required value',
  ]);
  const other = { selector: { matchLabels: { app: 'b' } } };
  assert.deepEqual(problems('apps/v1', 'deployments', deployment(other, { app: 'b' }), deployment()), [
    'spec.selector: Invalid value: {"matchLabels":{"app":"b"}}: field is immutable',
  ]);
});

test('a pod is refused in upstream words', () => {
  const pod = (container: JsonObject, spec: JsonObject = {}) => ({
    spec: { containers: [{ name: 'c', image: 'i', ...container }], ...spec },
  });
  const cases: readonly (readonly [JsonObject, string])[] = [
    [{ spec: {} }, 'spec.containers: Required value'],
    [pod({ image: '' }), 'spec.containers[0].image: Required value'],
    [pod({ name: '' }), 'spec.containers[0].name: Required value'],
    [
      pod({}, { restartPolicy: 'Sometimes' }),
      'spec.restartPolicy: Unsupported value: "Sometimes": supported values: "Always", "Never", "OnFailure"',
    ],
    [
      pod({ volumeMounts: [{ name: 'v', mountPath: '/v' }] }),
      'spec.containers[0].volumeMounts[0].name: Not found: "v"',
    ],
    [
      pod({ resources: { limits: { cpu: '1' }, requests: { cpu: '2' } } }),
      'spec.containers[0].resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1',
    ],
    [
      pod({ ports: [{ containerPort: 70000 }] }),
      'spec.containers[0].ports[0].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive',
    ],
    [pod({ livenessProbe: {} }), 'spec.containers[0].livenessProbe: Required value: must specify a handler type'],
  ];
  for (const [content, text] of cases) assert.deepEqual(problems('v1', 'pods', content), [text]);
});

test('of a pod only images, deadlines and more tolerations may change; a subresource may change its part', () => {
  const pod = (spec: JsonObject) => ({ spec: { ...podSpec, ...spec } });
  const image = { containers: [{ name: 'c', image: 'j' }] };
  const more = { tolerations: [{ key: 'a', operator: 'Exists' }] };
  assert.deepEqual(problems('v1', 'pods', pod({ ...image, ...more, activeDeadlineSeconds: 5 }), pod({})), []);
  assert.match(
    problems('v1', 'pods', pod({ nodeName: 'n' }), pod({}))[0] ?? '',
    /^spec: Forbidden: pod updates may not change/,
  );
  assert.deepEqual(problems('v1', 'pods', pod({ nodeName: 'n' }), pod({}), 'binding'), []);
  assert.match(problems('v1', 'pods', pod({}), pod(more))[0] ?? '', /^spec\.tolerations: Forbidden/);
  const ephemeral = { ephemeralContainers: [{ name: 'debug', image: 'd' }] };
  assert.deepEqual(problems('v1', 'pods', pod(ephemeral), pod({}), 'ephemeralcontainers'), []);
});

test('services, configuration and roles are refused in upstream words', () => {
  const cases: readonly (readonly [string, string, JsonObject, JsonObject | undefined, string])[] = [
    ['v1', 'services', { spec: {} }, undefined, 'spec.ports: Required value'],
    [
      'v1',
      'services',
      { spec: { ports: [{ port: 1 }, { port: 2 }] } },
      undefined,
      'spec.ports[0].name: Required value',
    ],
    [
      'v1',
      'services',
      { spec: { ports: [{ port: 1 }], clusterIP: '10.0.0.2' } },
      { spec: { ports: [{ port: 1 }], clusterIP: '10.0.0.1' } },
      'spec.clusterIPs[0]: Invalid value: ["10.0.0.2"]: may not change once set',
    ],
    [
      'v1',
      'configmaps',
      { data: { 'a/b': '' } },
      undefined,
      'data[a/b]: Invalid value: "a/b": a valid config key must',
    ],
    [
      'v1',
      'configmaps',
      { immutable: true, data: { a: '2' } },
      { immutable: true, data: { a: '1' } },
      'data: Forbidden: field is immutable when `immutable` is set',
    ],
    ['v1', 'secrets', { type: 'a' }, { type: 'b' }, 'type: Invalid value: "a": field is immutable'],
    [
      'batch/v1',
      'jobs',
      { spec: { template: { spec: podSpec } } },
      undefined,
      'spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"',
    ],
    [
      'rbac.authorization.k8s.io/v1',
      'roles',
      { rules: [{ apiGroups: [''], resources: ['a'] }] },
      undefined,
      'rules[0].verbs: Required value: verbs must contain at least one value',
    ],
    [
      'coordination.k8s.io/v1',
      'leases',
      { spec: { leaseDurationSeconds: 0 } },
      undefined,
      'spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0',
    ],
  ];
  for (const [apiVersion, resource, now, before, text] of cases) {
    const found = problems(apiVersion, resource, now, before);
    assert(found[0]?.startsWith(text), `${resource}: ${found.join(' | ')}`);
  }
});

test('addresses are told by version', () => {
  const cases = {
    '10.0.0.1': 4,
    '256.0.0.1': 0,
    '1.2.3': 0,
    '01.2.3.4': 0,
    '::1': 6,
    'fd00::1:2': 6,
    '::ffff:1.2.3.4': 6,
    ':::': 0,
    a: 0,
  };
  for (const [text, wanted] of Object.entries(cases)) assert.equal(ipVersion(text), wanted, text);
});
