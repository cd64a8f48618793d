import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  applyDefaults,
  conflictError,
  decodeApplied,
  decodeObject,
  type JsonObject,
  type KubeObject,
  messageNamed,
  resourceSchema,
  serverSideApply,
  updateManagedFields,
} from '../../../src/control/api/index.ts';

const deployments = resourceSchema('apps/v1', 'deployments');
const message = messageNamed(deployments.message);

function deployment(spec: JsonObject, metadata: JsonObject = {}): JsonObject {
  return { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'd', ...metadata }, spec };
}

function apply(live: KubeObject | undefined, manager: string, content: JsonObject, force = false, minute = 0) {
  const applied = decodeApplied(content).object;
  const nowRfc3339 = `2026-01-01T00:0${minute}:00Z`;
  const result = serverSideApply({ live, applied, manager, force, message, subresource: '', nowRfc3339 });
  if (result.object !== undefined) applyDefaults(result.object, deployments);
  return result;
}

function applied(
  live: KubeObject | undefined,
  manager: string,
  content: JsonObject,
  force = false,
  minute = 0,
): KubeObject {
  const result = apply(live, manager, content, force, minute);
  assert(result.object !== undefined, JSON.stringify(result.conflicts));
  return result.object;
}

function entryOf(object: KubeObject, manager: string): JsonObject | undefined {
  return object.metadata.managedFields?.find((entry) => entry['manager'] === manager);
}

const base = {
  replicas: 3,
  selector: { matchLabels: { app: 'a' } },
  template: {
    metadata: { labels: { app: 'a' } },
    spec: { containers: [{ name: 'c', image: 'i', ports: [{ containerPort: 80 }] }] },
  },
};

test('the first apply owns what it says and nothing that was defaulted', () => {
  const object = applied(undefined, 'kubectl', deployment(base, { labels: { app: 'a' } }));
  assert.equal(object['spec'].strategy.type, 'RollingUpdate');
  assert.deepEqual(entryOf(object, 'kubectl'), {
    manager: 'kubectl',
    operation: 'Apply',
    apiVersion: 'apps/v1',
    time: '2026-01-01T00:00:00Z',
    fieldsType: 'FieldsV1',
    fieldsV1: {
      'f:metadata': { 'f:labels': { 'f:app': {} } },
      'f:spec': {
        'f:replicas': {},
        'f:selector': {},
        'f:template': {
          'f:metadata': { 'f:labels': { 'f:app': {} } },
          'f:spec': {
            'f:containers': {
              'k:{"name":"c"}': {
                '.': {},
                'f:image': {},
                'f:name': {},
                'f:ports': { 'k:{"containerPort":80,"protocol":"TCP"}': { '.': {}, 'f:containerPort': {} } },
              },
            },
          },
        },
      },
    },
  });
});

test('a field that another manager set to another value is a conflict, until it is forced', () => {
  const live = applied(undefined, 'alice', deployment(base));
  const refused = apply(live, 'bob', deployment({ replicas: 5 }));
  assert.deepEqual(refused.conflicts, [{ field: '.spec.replicas', manager: '"alice"' }]);
  const error = conflictError(refused.conflicts ?? []);
  assert.equal(error.status.code, 409);
  assert.equal(error.message, 'Apply failed with 1 conflict: conflict with "alice": .spec.replicas');
  assert.deepEqual(error.status['details'].causes, [
    { reason: 'FieldManagerConflict', message: 'conflict with "alice"', field: '.spec.replicas' },
  ]);
  const forced = applied(live, 'bob', deployment({ replicas: 5 }), true);
  assert.equal(forced['spec'].replicas, 5);
  assert.deepEqual(entryOf(forced, 'bob')?.['fieldsV1'], { 'f:spec': { 'f:replicas': {} } });
  assert.equal(entryOf(forced, 'alice')?.['fieldsV1']['f:spec']['f:replicas'], undefined);
});

test('two managers may own the same field as long as they agree', () => {
  const live = applied(undefined, 'alice', deployment(base));
  const shared = applied(live, 'bob', deployment({ replicas: 3 }));
  assert.deepEqual(entryOf(shared, 'bob')?.['fieldsV1'], { 'f:spec': { 'f:replicas': {} } });
  const { replicas: _, ...rest } = base;
  // Alice lets go: the field stays, because bob still wants it.
  assert.equal(applied(shared, 'alice', deployment(rest))['spec'].replicas, 3);
});

test('what a manager no longer applies is removed, list items with their defaults', () => {
  const two = structuredClone(base);
  two.template.spec.containers.push({ name: 'sidecar', image: 's', ports: [] });
  const live = applied(undefined, 'kubectl', deployment(two, { labels: { a: '1', b: '2' } }));
  assert.equal(live['spec'].template.spec.containers.length, 2);
  const { replicas: _, ...rest } = base;
  const next = applied(live, 'kubectl', deployment(rest, { labels: { a: '1' } }));
  assert.deepEqual(next.metadata.labels, { a: '1' });
  assert.deepEqual(
    next['spec'].template.spec.containers.map((item: JsonObject) => item['name']),
    ['c'],
  );
  // Nobody wants a number, so the default comes back.
  assert.equal(next['spec'].replicas, 1);
});

test('items of other managers stay in a list that is merged by key', () => {
  const live = applied(undefined, 'kubectl', deployment(base));
  const injected = { template: { spec: { containers: [{ name: 'sidecar', image: 's' }] } } };
  const both = applied(live, 'injector', deployment(injected));
  assert.deepEqual(
    both['spec'].template.spec.containers.map((item: JsonObject) => item['name']),
    ['c', 'sidecar'],
  );
  const changed = structuredClone(base);
  changed.template.spec.containers[0] = { name: 'c', image: 'j', ports: [] };
  const next = applied(both, 'kubectl', deployment(changed));
  assert.deepEqual(next['spec'].template.spec.containers.map((item: JsonObject) => item['image']).sort(), ['j', 's']);
});

test('applying the same again changes nothing, not even the time', () => {
  const live = applied(undefined, 'kubectl', deployment(base));
  assert.equal(JSON.stringify(applied(live, 'kubectl', deployment(base), false, 5)), JSON.stringify(live));
});

test('an item that is named twice is refused', () => {
  const twice = {
    template: {
      spec: {
        containers: [
          { name: 'c', image: 'a' },
          { name: 'c', image: 'b' },
        ],
      },
    },
  };
  assert.throws(() => apply(undefined, 'kubectl', deployment(twice)), /duplicate entries for key/);
});

function created(): KubeObject {
  const next = decodeObject(deployment(base)).object;
  applyDefaults(next, deployments);
  return updateManagedFields({
    live: undefined,
    next,
    manager: 'kubectl-create',
    message,
    subresource: '',
    nowRfc3339: '2026-01-01T00:00:00Z',
  });
}

test('a create owns everything that it sets, defaults included', () => {
  const fields = entryOf(created(), 'kubectl-create')?.['fieldsV1'];
  assert.deepEqual(Object.keys(fields), ['f:spec']);
  assert.deepEqual(fields['f:spec']['f:strategy'], {
    'f:rollingUpdate': { '.': {}, 'f:maxSurge': {}, 'f:maxUnavailable': {} },
    'f:type': {},
  });
  const container = fields['f:spec']['f:template']['f:spec']['f:containers']['k:{"name":"c"}'];
  assert.deepEqual(container['f:ports'], {
    '.': {},
    'k:{"containerPort":80,"protocol":"TCP"}': { '.': {}, 'f:containerPort': {}, 'f:protocol': {} },
  });
  assert.deepEqual(container['f:resources'], {});
});

test('an update takes over what it changes, and a status update is kept apart', () => {
  const live = created();
  const next = structuredClone(live);
  next['spec'].replicas = 7;
  const update = { manager: 'scaler', message, nowRfc3339: '2026-01-01T00:01:00Z' };
  const scaled = updateManagedFields({ ...update, live, next, subresource: '' });
  assert.deepEqual(entryOf(scaled, 'scaler')?.['fieldsV1'], { 'f:spec': { 'f:replicas': {} } });
  assert.equal(entryOf(scaled, 'kubectl-create')?.['fieldsV1']['f:spec']['f:replicas'], undefined);
  const observed = structuredClone(scaled);
  observed['status'] = { observedGeneration: 1, replicas: 7 };
  const reported = updateManagedFields({
    ...update,
    live: scaled,
    next: observed,
    manager: 'controller',
    subresource: 'status',
  });
  const entry = entryOf(reported, 'controller');
  assert.equal(entry?.['subresource'], 'status');
  assert.deepEqual(entry?.['fieldsV1'], { 'f:status': { 'f:observedGeneration': {}, 'f:replicas': {} } });
});

test('an apply over an update by somebody else names the version that it was made with', () => {
  const { conflicts } = apply(created(), 'kubectl', deployment({ replicas: 5, minReadySeconds: 1 }));
  assert.deepEqual(conflicts, [{ field: '.spec.replicas', manager: '"kubectl-create" using apps/v1' }]);
});
