/** The tree of etcd's first API over one real member: what ends with its time, and who writes at the same moment. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { V2Error } from '../../../src/kv/v2/errors.ts';
import { ancestorsOf, cleanPath } from '../../../src/kv/v2/records.ts';
import { V2Tree } from '../../../src/kv/v2/tree.ts';
import { startTestMembers, type TestMember } from '../server/test-members.ts';

let member: TestMember;
let tree: V2Tree;

before(async () => {
  [member] = (await startTestMembers(1)) as [TestMember];
  tree = new V2Tree(member.server, undefined);
});
after(async () => {
  await member?.stop();
});

const failsWith = (code: string) => (error: unknown) => error instanceof V2Error && error.code === code;

test('paths are cleaned, and their directories named outermost first', () => {
  assert.deepEqual(['', '/', '//a//b/', '/a/./b/../c', '/../x'].map(cleanPath), ['/', '/', '/a/b', '/a/c', '/x']);
  assert.deepEqual(ancestorsOf('/a/b/c'), ['/a', '/a/b']);
  assert.deepEqual(ancestorsOf('/a'), []);
});

test('what lies in a directory ends with it, and does not come back when it is made again', async () => {
  const made = await tree.set({ path: '/brief', value: undefined, ttlSeconds: 100 });
  await tree.set({ path: '/brief/inside', value: 'x', ttlSeconds: 0 });
  await tree.set({ path: '/brief/deep/inside', value: 'y', ttlSeconds: 0 });
  await member.server.leaseRevoke(made.node.lease);
  await assert.rejects(tree.get('/brief/inside', true), failsWith('keyNotFound'));
  await assert.rejects(
    tree.delete({ path: '/brief/inside', isDirectory: false, isRecursive: false }),
    failsWith('keyNotFound'),
  );
  const root = await tree.get('/', true);
  assert.deepEqual(
    root.under.map(({ path }) => path).filter((path) => path.startsWith('/brief')),
    [],
  );
  await tree.set({ path: '/brief/new', value: 'z', ttlSeconds: 0 });
  const again = await tree.get('/brief', true);
  assert.deepEqual(
    again.under.map(({ path }) => path),
    ['/brief/new'],
  );
});

test('a file ends with its time to live, and setting it anew without one keeps it', async () => {
  const first = await tree.set({ path: '/file', value: '1', ttlSeconds: 100 });
  assert.ok(((await tree.ttlSeconds(first.node.lease)) ?? 0) > 90);
  await tree.set({ path: '/file', value: '2', ttlSeconds: 0 });
  await member.server.leaseRevoke(first.node.lease);
  assert.equal((await tree.get('/file', true)).node?.value, '2');
});

test('of many who swap at once each takes its turn, and nothing is lost', async () => {
  await tree.set({ path: '/counter', value: '0', ttlSeconds: 0 });
  const increment = async (): Promise<void> => {
    for (;;) {
      const value = (await tree.get('/counter', true)).node?.value ?? '';
      try {
        await tree.set({ path: '/counter', value: String(Number(value) + 1), ttlSeconds: 0, prevValue: value });
        return;
      } catch (error) {
        if (!failsWith('compareFailed')(error)) throw error;
      }
    }
  };
  await Promise.all(Array.from({ length: 10 }, increment));
  assert.equal((await tree.get('/counter', true)).node?.value, '10');
});

test('of many who create at once one does', async () => {
  const create = () => tree.set({ path: '/race/once', value: 'x', ttlSeconds: 0, prevExist: false });
  const results = await Promise.allSettled(Array.from({ length: 8 }, create));
  assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 1);
  for (const result of results) if (result.status === 'rejected') assert.ok(failsWith('keyExists')(result.reason));
});
