/** Auth on running members: tokens that are valid everywhere at once, and everything that a member does by itself. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { realClock, realRandom } from '../../../src/env/real.ts';
import { noBytes, putRequest, rangeRequest } from '../../../src/kv/api.ts';
import { createBcryptPasswords } from '../../../src/kv/auth/bcrypt-passwords.ts';
import { createInlinePasswords } from '../../../src/kv/auth/inline-passwords.ts';
import { SimpleTokens } from '../../../src/kv/auth/simple-tokens.ts';
import { createKvClient, type KvClient } from '../../../src/kv/index.ts';
import type { Credentials } from '../../../src/kv/server/auth-contract.ts';
import type { KvServer } from '../../../src/kv/server/contract.ts';
import { leaderOf, startTestMembers, type TestMember } from './test-members.ts';

const bytes = (text: string) => new TextEncoder().encode(text);
const put = (key: string, value = 'x') => putRequest({ key: bytes(key), value: bytes(value) });
const read = (key: string, serializable = false) => rangeRequest({ key: bytes(key), serializable });

function withToken(token: string): Credentials {
  return { metadata: (name) => (name === 'token' ? [token] : []), clientCommonName: undefined };
}

/** root with the password `rootpw`, alice with `alicepw` who may do anything under `alice/`; auth is on. */
async function openOffice({ auth }: KvServer): Promise<void> {
  const user = (name: string) =>
    auth.userAdd({ name, password: `${name}pw`, hashedPassword: '', hasNoPassword: false }, undefined);
  await user('root');
  await user('alice');
  await auth.change({ kind: 'userGrantRole', name: 'root', role: 'root' }, undefined);
  await auth.change({ kind: 'roleAdd', role: 'alices' }, undefined);
  await auth.change({ kind: 'userGrantRole', name: 'alice', role: 'alices' }, undefined);
  const permission = { type: 'readWrite', key: 'alice/', rangeEnd: 'alice0' } as const;
  await auth.change({ kind: 'roleGrantPermission', role: 'alices', permission }, undefined);
  await auth.change({ kind: 'enable' }, undefined);
}

describe('three members with auth on', () => {
  let members: readonly TestMember[];
  let servers: readonly KvServer[];
  let root: Credentials;

  before(async () => {
    members = await startTestMembers(3);
    await leaderOf(members);
    servers = members.map(({ server }) => server);
    await openOffice(servers[0] as KvServer);
    root = withToken(await (servers[0] as KvServer).auth.authenticate('root', 'rootpw'));
  });
  after(() => Promise.all(members.map((member) => member.stop())));

  /** A fresh token of alice, from the member with this number. */
  const alice = async (number = 0) =>
    withToken(await (servers[number] as KvServer).auth.authenticate('alice', 'alicepw'));

  test('a token is valid on every member at once, also where its entry has yet to arrive', async () => {
    for (let round = 0; round < 10; round++) {
      const from = await alice(round % 3);
      await Promise.all(
        servers.map(async (server) => {
          await server.range(read('alice/1', true), from);
          await server.put(put('alice/1'), from);
          assert.equal(await server.watchRefusal({ ...watchOf('alice/1') }, from), undefined);
        }),
      );
    }
  });

  test('no token, a made-up one and one from the future are refused everywhere', async () => {
    for (const server of servers) {
      await assert.rejects(server.put(put('alice/1')), { code: 'userEmpty' });
      await assert.rejects(server.range(read('alice/1')), { code: 'userEmpty' });
      for (const token of ['nonsense', 'nonsense.1', `nonsense.${2 ** 50}`, '']) {
        await assert.rejects(server.put(put('alice/1'), withToken(token)), { code: 'invalidAuthToken' }, token);
        await assert.rejects(server.range(read('alice/1', true), withToken(token)), { code: 'invalidAuthToken' });
      }
    }
  });

  test('a wrong password, an unknown user and one without a password get no token', async () => {
    const [server] = servers as [KvServer];
    await server.auth.userAdd({ name: 'card', password: '', hashedPassword: '', hasNoPassword: true }, root);
    await assert.rejects(server.auth.authenticate('alice', 'wrong'), { code: 'authFailed' });
    await assert.rejects(server.auth.authenticate('nobody', 'alicepw'), { code: 'authFailed' });
    await assert.rejects(server.auth.authenticate('card', ''), { code: 'passwordNotWanted' });
  });

  test('a new password ends the tokens of the old one on every member', async () => {
    const from = await alice(1);
    const [first, second, third] = servers as [KvServer, KvServer, KvServer];
    await second.put(put('alice/1'), from);
    await first.auth.userChangePassword({ name: 'alice', password: 'newpw', hashedPassword: '' }, root);
    for (const server of [first, second, third]) {
      await assert.rejects(server.range(read('alice/1'), from), { code: 'invalidAuthToken' });
    }
    await assert.rejects(third.auth.authenticate('alice', 'alicepw'), { code: 'authFailed' });
    await third.auth.authenticate('alice', 'newpw');
    await first.auth.userChangePassword({ name: 'alice', password: 'alicepw', hashedPassword: '' }, root);
  });

  test('a hash may be given instead of a password, and nothing else may', async () => {
    const [server] = servers as [KvServer];
    const hash = await createInlinePasswords(realRandom).hash('moved');
    const hashedPassword = Buffer.from(hash).toString('base64');
    await server.auth.userAdd({ name: 'moved', password: '', hashedPassword, hasNoPassword: false }, root);
    assert.match(await server.auth.authenticate('moved', 'moved'), /^\w{16}\.\d+$/);
    const bad = { name: 'bad', password: '', hashedPassword: 'cGxhaW4=', hasNoPassword: false };
    await assert.rejects(server.auth.userAdd(bad, root), { code: 'invalidAuthManagement' });
  });

  test('a deleted user’s token is worth nothing, and a namesake does not inherit it', async () => {
    const [first, second] = servers as [KvServer, KvServer];
    const add = () =>
      first.auth.userAdd({ name: 'temp', password: 'temppw', hashedPassword: '', hasNoPassword: false }, root);
    await add();
    const from = withToken(await second.auth.authenticate('temp', 'temppw'));
    await first.auth.change({ kind: 'userDelete', name: 'temp' }, root);
    await assert.rejects(second.range(read('x'), from), { code: 'invalidAuthToken' });
    await add();
    await assert.rejects(second.range(read('x'), from), { code: 'invalidAuthToken' });
  });

  test('every member lists, shows oneself, and keeps the rest for root', async () => {
    for (const server of servers) {
      const from = await alice();
      assert.ok((await server.auth.users(root)).includes('alice'));
      assert.deepEqual(await server.auth.roles(root), ['alices']);
      assert.deepEqual(await server.auth.rolesOfUser('alice', from), ['alices']);
      assert.equal((await server.auth.permissionsOfRole('alices', from)).length, 1);
      await assert.rejects(server.auth.users(from), { code: 'permissionDenied' });
      await assert.rejects(server.auth.rolesOfUser('root', from), { code: 'permissionDenied' });
      await assert.rejects(server.auth.roles(undefined), { code: 'userEmpty' });
      await assert.rejects(server.auth.status(from), { code: 'permissionDenied' });
      const { isEnabled, authRevision } = await server.auth.status(root);
      assert.ok(isEnabled && authRevision > 5);
      assert.equal(server.auth.revision(), authRevision);
    }
  });

  test('leases: renewed and looked at on every member by those who may, and ended by the leader on time', async () => {
    const from = await alice();
    const { signal } = new AbortController();
    const { id } = await (servers[0] as KvServer).leaseGrant(0n, 1, from);
    await (servers[0] as KvServer).put({ ...put('alice/leased'), lease: id }, from);
    const other = await (servers[0] as KvServer).leaseGrant(0n, 60, from);
    await (servers[0] as KvServer).put({ ...put('roots'), lease: other.id }, root);
    for (const server of servers) {
      // So that this member knows of the keys.
      await server.range(read('roots'), root);
      assert.ok((await server.leaseKeepAlive(id, signal, from)) > 0);
      const { keys } = await server.leaseTimeToLive(id, true, signal, from);
      assert.deepEqual(
        keys.map((key) => Buffer.from(key).toString()),
        ['alice/leased'],
      );
      assert.ok((await server.leaseTimeToLive(other.id, false, signal, from)).ttlSeconds > 0);
      await assert.rejects(server.leaseTimeToLive(other.id, true, signal, from), { code: 'permissionDenied' });
      await assert.rejects(server.leaseKeepAlive(other.id, signal, from), { code: 'permissionDenied' });
      await assert.rejects(server.leaseKeepAlive(id, signal, undefined), { code: 'userEmpty' });
      await assert.rejects(server.leaseRevoke(other.id, from), { code: 'permissionDenied' });
      await assert.rejects(server.leases(from), { code: 'permissionDenied' });
      assert.ok((await server.leases(root)).includes(other.id));
    }
    const gone = Promise.withResolvers<void>();
    const [server] = servers as [KvServer];
    const watcher = server.watch(watchOf('alice/leased'), {
      events: (events) => {
        if (events.some(({ type }) => type === 'delete')) gone.resolve();
        return true;
      },
      compacted: () => undefined,
    });
    await gone.promise;
    watcher.cancel();
  });

  test('a client that is a user reads, writes, watches, and gets new tokens by itself', async (t) => {
    const endpoints = members.map(({ endpoint }) => endpoint);
    const user = { name: 'alice', password: 'alicepw' };
    const client = createKvClient({ clock: realClock, endpoints, user });
    t.after(() => client.close());
    const seen = watchAll(client, 'alice/', 'alice0');
    await seen.created;
    await client.put({ key: bytes('alice/client'), value: bytes('1') });
    await assert.rejects(client.put({ key: bytes('bob/client'), value: bytes('1') }), { code: 'permissionDenied' });
    // Its token is forgotten: the next call gets another one and is carried out.
    await (servers[0] as KvServer).auth.userChangePassword(
      { name: 'alice', password: 'alicepw', hashedPassword: '' },
      root,
    );
    await client.put({ key: bytes('alice/client'), value: bytes('2') });
    const lease = await client.leaseGrant(60);
    assert.ok((await client.leaseKeepAliveOnce(lease)) > 0);
    await seen.until(2);
    const stranger = createKvClient({ clock: realClock, endpoints, user: { ...user, password: 'wrong' } });
    t.after(() => stranger.close());
    await assert.rejects(stranger.range({ key: bytes('alice/client') }), { code: 'authFailed' });
    const nobody = createKvClient({ clock: realClock, endpoints });
    t.after(() => nobody.close());
    await assert.rejects(nobody.range({ key: bytes('alice/client') }), { code: 'userEmpty' });
  });

  test('a watch that began before goes on when it is forbidden to begin another', async (t) => {
    const endpoints = members.map(({ endpoint }) => endpoint);
    const client = createKvClient({ clock: realClock, endpoints, user: { name: 'alice', password: 'alicepw' } });
    t.after(() => client.close());
    const first = watchAll(client, 'alice/', 'alice0');
    await first.created;
    const [server] = servers as [KvServer];
    await server.auth.change({ kind: 'userRevokeRole', name: 'alice', role: 'alices' }, root);
    const second = watchAll(client, 'alice/', 'alice0');
    assert.match(String(await second.ended), /permission denied/);
    await server.put(put('alice/late'), root);
    await first.until(1);
    await server.auth.change({ kind: 'userGrantRole', name: 'alice', role: 'alices' }, root);
  });
});

function watchOf(key: string) {
  return { key: bytes(key), rangeEnd: noBytes, startRevision: 0, prevKv: false, noPut: false, noDelete: false };
}

function watchAll(client: KvClient, from: string, to: string) {
  const created = Promise.withResolvers<void>();
  const ended = Promise.withResolvers<unknown>();
  let count = 0;
  let wanted = Number.POSITIVE_INFINITY;
  const enough = Promise.withResolvers<void>();
  client.watch(
    { ...watchOf(from), rangeEnd: bytes(to) },
    {
      created: () => created.resolve(),
      events: (events) => {
        count += events.length;
        if (count >= wanted) enough.resolve();
      },
      progress: () => undefined,
      ended: (reason) => ended.resolve(reason.kind === 'error' ? reason.error : reason),
    },
  );
  return {
    created: created.promise,
    ended: ended.promise,
    until(events: number): Promise<void> {
      wanted = events;
      if (count >= wanted) enough.resolve();
      return enough.promise;
    },
  };
}

test('the common name of a client certificate is a user, where certificates are wanted, and never through the gateway', async (t) => {
  const [member] = (await startTestMembers(1, {
    auth: {
      tokens: new SimpleTokens({ clock: realClock, random: realRandom, ttlMs: 300_000 }),
      passwords: createInlinePasswords(realRandom),
      isCommonNameUser: true,
    },
  })) as [TestMember];
  t.after(() => member.stop());
  const { server } = member;
  await openOffice(server);
  const named = (clientCommonName: string, metadata: Readonly<Record<string, string>> = {}): Credentials => ({
    metadata: (name) => (metadata[name] === undefined ? [] : [metadata[name]]),
    clientCommonName,
  });
  await server.put(put('alice/1'), named('alice'));
  await assert.rejects(server.put(put('bob/1'), named('alice')), { code: 'permissionDenied' });
  await server.put(put('bob/1'), named('root'));
  await assert.rejects(server.put(put('alice/1'), named('stranger')), { code: 'permissionDenied' });
  await assert.rejects(server.put(put('alice/1'), named('root', { 'grpcgateway-accept': '*/*' })), {
    code: 'userEmpty',
  });
  const twoNames = { metadata: () => [], clientCommonName: ['root', 'alice'] as unknown as string };
  await assert.rejects(server.put(put('alice/1'), twoNames), { code: 'userEmpty' });
  // Who shows a token is whom the token says.
  const token = await server.auth.authenticate('alice', 'alicepw');
  await assert.rejects(server.put(put('bob/1'), named('root', { token })), { code: 'permissionDenied' });
  await server.put(put('alice/1'), named('root', { authorization: `Bearer ${token}` }));
});

test('what the member does by itself is not stopped by auth: the quota’s alarm, and compaction', async (t) => {
  const [member] = (await startTestMembers(1, {
    limits: { requestBytesMax: 1.5 * 1024 * 1024, txnOpsMax: 128, learnersMax: 1, quotaBytes: 4_000 },
    compaction: { mode: 'periodic', retentionMs: 0 },
  })) as [TestMember];
  t.after(() => member.stop());
  const { server } = member;
  await openOffice(server);
  const root = withToken(await server.auth.authenticate('root', 'rootpw'));
  for (;;) {
    const outcome = await server.put(put('big', 'x'.repeat(500)), root).then(
      () => 'ok',
      (error: Error & { code: string }) => error.code,
    );
    if (outcome === 'ok') continue;
    assert.equal(outcome, 'noSpace');
    break;
  }
  // The alarm is an entry of its own, behind which this one is applied.
  await server.auth.change({ kind: 'roleAdd', role: 'later' }, root);
  assert.deepEqual(
    server.alarms().map(({ alarm }) => alarm),
    ['noSpace'],
  );
  assert.ok((await server.compact(2, false, root)).revision > 2);
});

test('a flood of passwords is turned away and not queued without end, and writers do not wait for it', async (t) => {
  const passwords = createBcryptPasswords({ clock: realClock, cost: 10, jobsMax: 4 });
  const [member] = (await startTestMembers(1, {
    auth: {
      tokens: new SimpleTokens({ clock: realClock, random: realRandom, ttlMs: 300_000 }),
      passwords,
      isCommonNameUser: false,
    },
  })) as [TestMember];
  t.after(() => member.stop());
  const { server } = member;
  await openOffice(server);
  const root = withToken(await server.auth.authenticate('root', 'rootpw'));
  let answered = 0;
  const outcomes = Array.from({ length: 40 }, () =>
    server.auth.authenticate('alice', 'wrong').then(
      () => 'ok',
      (error: Error & { code: string }) => {
        answered++;
        return error.code;
      },
    ),
  );
  await server.put(put('written meanwhile'), root);
  assert.ok(answered < 40, 'the write was answered before all passwords were compared');
  const counted = Map.groupBy(await Promise.all(outcomes), (outcome) => outcome);
  assert.deepEqual([...counted.keys()].sort(), ['authFailed', 'tooManyRequests']);
  assert.equal(counted.get('authFailed')?.length, 4);
});
