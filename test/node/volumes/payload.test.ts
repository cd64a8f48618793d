import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KubeObject } from '../../../src/control/api/contract.ts';
import { VolumeError, volumePayload, volumeReferences } from '../../../src/node/volumes/payload.ts';

const object = (kind: string, more: Record<string, unknown>): KubeObject => ({
  apiVersion: 'v1',
  kind,
  metadata: {
    name: 'p',
    namespace: 'ns',
    uid: 'u',
    resourceVersion: '1',
    creationTimestamp: '',
    labels: { app: 'web' },
  },
  ...more,
});
const base64 = (text: string) => Buffer.from(text).toString('base64');
const sources = {
  configMap: (name: string) =>
    name === 'c' ? object('ConfigMap', { data: { a: '1', b: '2' }, binaryData: { bin: base64('raw') } }) : undefined,
  secret: (name: string) => (name === 's' ? object('Secret', { data: { key: base64('hidden') } }) : undefined),
  token: () => 'token',
};
const context = {
  pod: object('Pod', { spec: { containers: [] } }),
  container: {},
  podIps: ['10.0.0.1'],
  hostIps: [],
  allocatable: { cpuMilli: 1000, memoryBytes: 1 },
};
const payload = (volume: Record<string, unknown>) =>
  Object.fromEntries(
    [...volumePayload(volume, context, sources)].map(([path, file]) => [
      path,
      `${Buffer.from(file.content).toString()} ${file.mode.toString(8)}`,
    ]),
  );

test('a configMap gives its keys, or the items it is asked for', () => {
  assert.deepEqual(payload({ configMap: { name: 'c' } }), { a: '1 644', b: '2 644', bin: 'raw 644' });
  const items = [{ key: 'a', path: 'x/y', mode: 0o600 }];
  assert.deepEqual(payload({ configMap: { name: 'c', items, defaultMode: 0o400 } }), { 'x/y': '1 600' });
});

test('a secret is decoded; what is missing is said, unless it is optional', () => {
  assert.deepEqual(payload({ secret: { secretName: 's', defaultMode: 0o400 } }), { key: 'hidden 400' });
  assert.throws(() => payload({ secret: { secretName: 'no' } }), VolumeError);
  assert.deepEqual(payload({ secret: { secretName: 'no', optional: true } }), {});
  assert.throws(() => payload({ configMap: { name: 'c', items: [{ key: 'no', path: 'x' }] } }), /non-existent/);
});

test('a projected volume puts token, authority and namespace side by side', () => {
  const volume = {
    projected: {
      sources: [
        { serviceAccountToken: { path: 'token', expirationSeconds: 3607 } },
        { configMap: { name: 'c', items: [{ key: 'a', path: 'ca.crt' }] } },
        { downwardAPI: { items: [{ path: 'namespace', fieldRef: { fieldPath: 'metadata.namespace' } }] } },
      ],
    },
  };
  assert.deepEqual(payload(volume), { token: 'token 644', 'ca.crt': '1 644', namespace: 'ns 644' });
  const references = volumeReferences(volume);
  assert.deepEqual([...references.configMaps], ['c']);
  assert.deepEqual(references.tokens, [{ audience: undefined, expirationSeconds: 3607 }]);
});

test('the downward API writes labels as lines', () => {
  const items = [{ path: 'labels', fieldRef: { fieldPath: 'metadata.labels' } }];
  assert.deepEqual(payload({ downwardAPI: { items } }), { labels: 'app="web" 644' });
});
