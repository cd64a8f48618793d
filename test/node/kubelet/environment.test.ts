import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KubeObject } from '../../../src/control/api/contract.ts';
import {
  ContainerConfigError,
  containerEnvironment,
  expand,
  serviceVariables,
} from '../../../src/node/kubelet/environment.ts';

const metadata = { name: 'p', namespace: 'ns', uid: 'u', resourceVersion: '1', creationTimestamp: '' };

function object(kind: string, more: Record<string, unknown>, name = 'x'): KubeObject {
  return { apiVersion: 'v1', kind, metadata: { ...metadata, name }, ...more };
}

function environment(container: Record<string, unknown>, services: KubeObject[] = []) {
  const pod = object('Pod', { spec: { nodeName: 'n1', containers: [{ name: 'a', ...container }] } }, 'p');
  pod.metadata.labels = { app: 'web' };
  const variables = containerEnvironment(
    {
      pod,
      container,
      podIps: ['10.0.0.1'],
      hostIps: ['1.2.3.4'],
      allocatable: { cpuMilli: 2000, memoryBytes: 2 ** 30 },
    },
    {
      configMap: (name) => (name === 'c' ? object('ConfigMap', { data: { k: 'v', other: 'o' } }) : undefined),
      secret: (name) =>
        name === 's' ? object('Secret', { data: { k: Buffer.from('hidden').toString('base64') } }) : undefined,
      services,
    },
  );
  return Object.fromEntries(variables.map(({ name, value }) => [name, value]));
}

test('$(NAME) is replaced by what was defined before, and nothing else is', () => {
  const variables = new Map([
    ['A', 'one'],
    ['B', '$(A)'],
  ]);
  const table: [string, string][] = [
    ['$(A)', 'one'],
    ['x$(A)y$(A)', 'xoneyone'],
    ['$(B)', '$(A)'],
    ['$$(A)', '$(A)'],
    ['$$$(A)', '$one'],
    ['$(NONE)', '$(NONE)'],
    ['$(A', '$(A'],
    ['$A', '$A'],
    ['$', '$'],
    ['', ''],
  ];
  for (const [text, wanted] of table) assert.equal(expand(text, variables), wanted, text);
});

test('variables come from ConfigMaps, Secrets, fields and resources; later ones win', () => {
  const result = environment({
    envFrom: [{ configMapRef: { name: 'c' }, prefix: 'P_' }, { secretRef: { name: 's' } }],
    env: [
      { name: 'P_other', value: 'mine' },
      { name: 'FROM', value: 'see $(P_k) $(k)' },
      { name: 'IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } },
      { name: 'APP', valueFrom: { fieldRef: { fieldPath: "metadata.labels['app']" } } },
      { name: 'CPU', valueFrom: { resourceFieldRef: { resource: 'limits.cpu' } } },
      { name: 'MEMORY', valueFrom: { resourceFieldRef: { resource: 'requests.memory', divisor: '1Mi' } } },
      { name: 'NO', valueFrom: { configMapKeyRef: { name: 'absent', key: 'k', optional: true } } },
    ],
    resources: { requests: { memory: '64Mi' } },
  });
  assert.deepEqual(result, {
    P_k: 'v',
    P_other: 'mine',
    k: 'hidden',
    FROM: 'see v hidden',
    IP: '10.0.0.1',
    APP: 'web',
    CPU: '2',
    MEMORY: '64',
  });
});

test('what is missing and not optional keeps the container from starting', () => {
  const table: [Record<string, unknown>, RegExp][] = [
    [{ envFrom: [{ configMapRef: { name: 'absent' } }] }, /configmap "absent" not found/],
    [
      { env: [{ name: 'A', valueFrom: { secretKeyRef: { name: 's', key: 'no' } } }] },
      /couldn't find key no in Secret ns\/s/,
    ],
    [{ env: [{ name: 'A', valueFrom: { fieldRef: { fieldPath: 'spec.nothing' } } }] }, /unsupported fieldPath/],
  ];
  for (const [container, message] of table) {
    assert.throws(
      () => environment(container),
      (error: Error) => error instanceof ContainerConfigError && message.test(error.message),
    );
  }
});

test('services become variables, headless ones do not', () => {
  const service = object(
    'Service',
    { spec: { clusterIP: '10.96.0.1', ports: [{ name: 'https', port: 443, protocol: 'TCP' }] } },
    'my-api',
  );
  const headless = object('Service', { spec: { clusterIP: 'None', ports: [{ port: 1 }] } }, 'none');
  assert.deepEqual(Object.fromEntries(serviceVariables([service, headless])), {
    MY_API_SERVICE_HOST: '10.96.0.1',
    MY_API_SERVICE_PORT: '443',
    MY_API_SERVICE_PORT_HTTPS: '443',
    MY_API_PORT: 'tcp://10.96.0.1:443',
    MY_API_PORT_443_TCP: 'tcp://10.96.0.1:443',
    MY_API_PORT_443_TCP_PROTO: 'tcp',
    MY_API_PORT_443_TCP_PORT: '443',
    MY_API_PORT_443_TCP_ADDR: '10.96.0.1',
  });
});
