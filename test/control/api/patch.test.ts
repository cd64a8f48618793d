import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  jsonPatch,
  type JsonObject,
  mergePatch,
  messageNamed,
  resourceSchema,
  StatusError,
  strategicMergePatch,
} from '../../../src/control/api/index.ts';

const pod = messageNamed(resourceSchema('v1', 'pods').message);
const deployment = messageNamed(resourceSchema('apps/v1', 'deployments').message);

test('a merge patch sets, replaces lists whole and deletes with null', () => {
  const target = { a: { b: 1, c: [1, 2] }, d: 'x' };
  assert.deepEqual(mergePatch(target, { a: { b: null, c: [3] }, e: { f: null, g: 1 } }), {
    a: { c: [3] },
    d: 'x',
    e: { g: 1 },
  });
  assert.deepEqual(target, { a: { b: 1, c: [1, 2] }, d: 'x' });
});

test('a JSON patch changes a copy, and one that does not fit is refused with 422', () => {
  const target = { spec: { replicas: 1, list: ['a'] } };
  const operations = [
    { op: 'test', path: '/spec/replicas', value: 1 },
    { op: 'replace', path: '/spec/replicas', value: 2 },
    { op: 'add', path: '/spec/list/-', value: 'b' },
  ];
  assert.deepEqual(jsonPatch(target, operations), { spec: { replicas: 2, list: ['a', 'b'] } });
  assert.deepEqual(target, { spec: { replicas: 1, list: ['a'] } });
  for (const operation of [
    { op: 'test', path: '/spec/replicas', value: 9 },
    { op: 'remove', path: '/spec/nothing' },
    { op: 'nonsense', path: '/spec' },
  ]) {
    assert.throws(
      () => jsonPatch(target, [operation]),
      (error) => error instanceof StatusError && error.status.code === 422,
      JSON.stringify(operation),
    );
  }
});

interface Case {
  readonly name: string;
  readonly target: JsonObject;
  readonly patch: JsonObject;
  readonly wanted: JsonObject;
}

const containers = (...list: JsonObject[]) => ({ spec: { containers: list } });
const a = { name: 'a', image: 'a:1' };
const b = { name: 'b', image: 'b:1' };

const cases: readonly Case[] = [
  {
    name: 'changes the item with the same merge key',
    target: containers(a, b),
    patch: containers({ name: 'b', image: 'b:2' }),
    wanted: containers(a, { name: 'b', image: 'b:2' }),
  },
  {
    name: 'adds an item with a new key, and keeps the order of the patch',
    target: containers(a),
    patch: containers({ name: 'a' }, b),
    wanted: containers(a, b),
  },
  {
    name: 'deletes the item that a directive names',
    target: containers(a, b),
    patch: containers({ $patch: 'delete', name: 'a' }),
    wanted: containers(b),
  },
  {
    name: 'replaces the whole list on a directive',
    target: containers(a, b),
    patch: containers({ $patch: 'replace' }, { name: 'c' }),
    wanted: containers({ name: 'c' }),
  },
  {
    name: 'replaces a list that is not merged',
    target: containers({ name: 'a', args: ['x', 'y'] }),
    patch: containers({ name: 'a', args: ['z'] }),
    wanted: containers({ name: 'a', args: ['z'] }),
  },
  {
    name: "orders items as $setElementOrder says and keeps the server's own in place",
    target: containers(a, { name: 'server' }, b),
    patch: { spec: { '$setElementOrder/containers': [{ name: 'b' }, { name: 'a' }] } },
    wanted: containers({ name: 'server' }, b, a),
  },
  {
    name: 'adds to a list of texts and deletes from it',
    target: { metadata: { finalizers: ['a', 'b'] } },
    patch: { metadata: { finalizers: ['c'], '$deleteFromPrimitiveList/finalizers': ['a'] } },
    wanted: { metadata: { finalizers: ['c', 'b'] } },
  },
  {
    name: 'deletes with null, and drops null where there is nothing',
    target: { metadata: { labels: { a: '1', b: '2' } } },
    patch: { metadata: { labels: { a: null, c: '3', d: null }, annotations: { e: null, f: '1' } } },
    wanted: { metadata: { labels: { b: '2', c: '3' }, annotations: { f: '1' } } },
  },
  {
    name: 'keeps only the keys that $retainKeys lists',
    target: { spec: { volumes: [{ name: 'v', emptyDir: {} }] } },
    patch: { spec: { volumes: [{ $retainKeys: ['name', 'hostPath'], name: 'v', hostPath: { path: '/x' } }] } },
    wanted: { spec: { volumes: [{ name: 'v', hostPath: { path: '/x' } }] } },
  },
  {
    name: 'replaces an object on a directive',
    target: { spec: { nodeSelector: { a: '1' } } },
    patch: { spec: { nodeSelector: { $patch: 'replace', b: '2' } } },
    wanted: { spec: { nodeSelector: { b: '2' } } },
  },
];

for (const { name, target, patch, wanted } of cases) {
  test(`a strategic merge patch ${name}`, () => {
    const before = structuredClone(target);
    assert.deepEqual(strategicMergePatch(target, patch, pod), wanted);
    assert.deepEqual(target, before);
  });
}

test('kubectl set image and rollout restart patch a template', () => {
  const target = { spec: { template: { metadata: {}, spec: { containers: [a, b] } } } };
  const patch = {
    spec: {
      template: {
        metadata: { annotations: { restartedAt: 'now' } },
        spec: { containers: [{ name: 'a', image: 'a:2' }] },
      },
    },
  };
  assert.deepEqual(strategicMergePatch(target, patch, deployment), {
    spec: {
      template: {
        metadata: { annotations: { restartedAt: 'now' } },
        spec: { containers: [{ name: 'a', image: 'a:2' }, b] },
      },
    },
  });
});

test('an item without its merge key is refused', () => {
  assert.throws(
    () => strategicMergePatch(containers(a), containers({ image: 'x' }), pod),
    /does not contain declared merge key: name/,
  );
});
