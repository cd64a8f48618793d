/** Sockets made ready: over real ports, with certificates that change on disk while the listener runs. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect as connectPlain, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import { connect, type ConnectionOptions, type TLSSocket } from 'node:tls';
import { realClock, realDisk } from '../../../src/env/real.ts';
import { type Log, silentLog } from '../../../src/env/log.ts';
import { handshakeReason } from '../../../src/rpc/tls/handshake-reason.ts';
import { type Listener, openListener } from '../../../src/rpc/tls/listener.ts';
import { anyName } from '../../../src/rpc/tls/rules.ts';
import { openServerTls, type ServerTls, type ServerTlsOptions } from '../../../src/rpc/tls/server-tls.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { type Authority, filesOf, makeAuthority, type Pair } from './certificates.ts';

type Line = { readonly message: string; readonly fields: Readonly<Record<string, unknown>> };

/** A log that can be waited for. */
function heardLog() {
  const lines: Line[] = [];
  const waiting: { message: string; resolve: (line: Line) => void }[] = [];
  const take = (message: string, fields: Readonly<Record<string, unknown>> = {}) => {
    const line = { message, fields };
    lines.push(line);
    for (const each of waiting.splice(0)) {
      if (each.message === message) each.resolve(line);
      else waiting.push(each);
    }
  };
  const log: Log = { ...silentLog, info: take, warn: take, error: take };
  const next = (message: string) => new Promise<Line>((resolve) => waiting.push({ message, resolve }));
  return { log, lines, next };
}

let authority: Authority;
let server: Pair;
let client: Pair;
let files: Awaited<ReturnType<typeof filesOf>>;
before(async () => {
  authority = await makeAuthority();
  server = await authority.issue({ commonName: 'server', addresses: ['127.0.0.1'], dnsNames: ['localhost'] });
  client = await authority.issue({ commonName: 'client', serial: 'c1', addresses: ['127.0.0.1'] });
  files = await filesOf({ ca: authority.pem, cert: server.cert, key: server.key, crl: await authority.revoke([]) });
});
after(() => files.remove());

const baseOptions = (): Omit<ServerTlsOptions, 'log'> => ({
  disk: realDisk,
  clock: realClock,
  files: { cert: files.path('cert'), key: files.path('key') },
  isClientVerified: false,
  limits: { minVersion: 'TLSv1.2' },
  allowed: anyName,
});

/** Says `hello` to whoever comes in, and tells with what. */
async function greeter(urls: readonly string[], log: Log, tls?: ServerTls): Promise<Listener> {
  const listener = await openListener({
    clock: realClock,
    log,
    endpoint: 'client',
    urls,
    disk: realDisk,
    ...(tls ? { tls } : {}),
    onConnection: (socket, { isSecure }) => {
      socket.on('error', () => undefined);
      socket.once('data', (first: Buffer) => socket.end(`${isSecure ? 'secure' : 'plain'} ${first.toString()}`));
    },
  });
  open.push(listener);
  return listener;
}

/** Whatever a failing test left open would keep the process alive. */
const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const each of open.splice(0)) await each.close();
});

async function openTls(options: ServerTlsOptions): Promise<ServerTls> {
  const tls = await openServerTls(options);
  open.push(tls);
  return tls;
}

/** What comes back for `hello`, or how the connection failed. */
function answer(socket: Socket | TLSSocket): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString();
    });
    socket.once('error', (error) => resolve(`error ${error.message}`));
    socket.once('close', () => resolve(text));
    socket.write('hello');
  });
}

const portOf = (listener: Listener) => Number(new URL(listener.urls[0] as string).port);
const secureAnswer = (listener: Listener, options: ConnectionOptions = {}) =>
  answer(connect({ port: portOf(listener), host: '127.0.0.1', ca: authority.pem, ...options }));
const plainAnswer = (listener: Listener) => answer(connectPlain(portOf(listener), '127.0.0.1'));

describe('a listener', { timeout: 30_000 }, () => {
  test('takes both kinds of traffic on one port when asked to, and tells them apart', async () => {
    const { log } = heardLog();
    const tls = await openTls({ ...baseOptions(), log });
    const probe = createServer();
    await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve));
    const { port } = probe.address() as { port: number };
    await new Promise((resolve) => probe.close(resolve));
    const both = await greeter([`http://127.0.0.1:${port}`, `https://127.0.0.1:${port}`], log, tls);
    assert.equal(await plainAnswer(both), 'plain hello');
    assert.equal(await secureAnswer(both), 'secure hello');
    await both.close();
    tls.close();
  });

  test('says whom it rejected: TLS at a plain port, plain text at a secure one, no certificate', async () => {
    const { log, next } = heardLog();
    const plain = await greeter(['http://127.0.0.1:0'], log);
    let rejected = next('rejected connection on client endpoint');
    assert.match(await secureAnswer(plain), /^error|^$/);
    assert.match(String((await rejected).fields['error']), /not secure/);
    const ca = { ...baseOptions().files, ca: files.path('ca') };
    const tls = await openTls({ ...baseOptions(), log, files: ca });
    const secure = await greeter(['https://127.0.0.1:0'], log, tls);
    rejected = next('rejected connection on client endpoint');
    assert.match(await plainAnswer(secure), /^error|^$/);
    assert.match(String((await rejected).fields['error']), /does not look like a TLS handshake/);
    rejected = next('rejected connection on client endpoint');
    assert.doesNotMatch(await secureAnswer(secure), /hello/);
    const { fields } = await rejected;
    assert.equal(fields['error'], "tls: client didn't provide a certificate");
    assert.match(String(fields['remote-addr']), /^127\.0\.0\.1:\d+$/);
    rejected = next('rejected connection on client endpoint');
    const strangers = { cert: client.cert, key: client.key, ca: (await makeAuthority('strangers')).pem };
    assert.match(await secureAnswer(secure, strangers), /^error/);
    // Node goes without a word; Go and OpenSSL say what they think.
    assert.equal((await rejected).fields['error'], 'EOF');
    assert.equal(await secureAnswer(secure, { cert: client.cert, key: client.key }), 'secure hello');
    await Promise.all([plain.close(), secure.close()]);
    tls.close();
  });

  test('serves a new certificate at the next handshake, and keeps the old one when the new is bad', async () => {
    const { log, lines } = heardLog();
    const tls = await openTls({ ...baseOptions(), log });
    const listener = await greeter(['https://127.0.0.1:0'], log, tls);
    const seen = async () => {
      const socket = connect({ port: portOf(listener), host: '127.0.0.1', ca: authority.pem });
      const shown = new Promise<string>((resolve) =>
        socket.once('secureConnect', () => resolve(String(socket.getPeerCertificate().subject['CN']))),
      );
      await answer(socket);
      return shown;
    };
    assert.equal(await seen(), 'server');
    const renewed = await authority.issue({ commonName: 'renewed', addresses: ['127.0.0.1'] });
    await files.write('key', renewed.key);
    // Between the two writes certificate and key do not fit: the old pair stays.
    assert.equal(await seen(), 'server');
    assert.equal(await seen(), 'server');
    await files.write('cert', renewed.cert);
    assert.equal(await seen(), 'renewed');
    await files.write('cert', 'nonsense');
    assert.equal(await seen(), 'renewed');
    const warnings = lines.filter(({ message }) => message.startsWith('kept the certificates'));
    assert.equal(warnings.length, 2);
    await files.write('cert', server.cert);
    await files.write('key', server.key);
    assert.equal(await seen(), 'server');
    await listener.close();
    tls.close();
  });

  test('refuses revoked and unnamed clients, from the next connection on', async () => {
    const { log, next } = heardLog();
    const withLists = { ...baseOptions().files, ca: files.path('ca'), crl: files.path('crl') };
    const tls = await openTls({ ...baseOptions(), log, files: withLists });
    const listener = await greeter(['https://127.0.0.1:0'], log, tls);
    const pair = { cert: client.cert, key: client.key };
    assert.equal(await secureAnswer(listener, pair), 'secure hello');
    await files.write('crl', await authority.revoke(['c1']));
    let rejected = next('rejected connection on client endpoint');
    assert.doesNotMatch(await secureAnswer(listener, pair), /hello/);
    assert.equal((await rejected).fields['error'], 'transport: certificate serial c1 revoked');
    await files.write('crl', await authority.revoke([]));
    assert.equal(await secureAnswer(listener, pair), 'secure hello');
    await listener.close();
    tls.close();
    const named = await openTls({
      ...baseOptions(),
      log,
      files: withLists,
      allowed: { commonNames: ['somebody else'], hostNames: [] },
    });
    const choosy = await greeter(['https://127.0.0.1:0'], log, named);
    rejected = next('rejected connection on client endpoint');
    assert.doesNotMatch(await secureAnswer(choosy, pair), /hello/);
    assert.equal((await rejected).fields['error'], 'client certificate authentication failed');
    await choosy.close();
    named.close();
  });

  test('words what goes wrong in a handshake as etcd does', () => {
    const ssl = (reason: string) => Object.assign(new Error('0A:error:0A000412:SSL routines::x:rec.c:918'), { reason });
    assert.equal(handshakeReason(ssl('ssl/tls alert bad certificate')), 'remote error: tls: bad certificate');
    assert.equal(handshakeReason(ssl('tlsv1 alert unknown ca')), 'remote error: tls: unknown ca');
    assert.equal(handshakeReason(ssl('no shared cipher')), 'tls: no shared cipher');
    assert.equal(handshakeReason(Object.assign(new Error('reset'), { code: 'ECONNRESET' })), 'EOF');
    assert.equal(handshakeReason(new Error('two\n lines ')), 'two lines');
  });

  test('speaks the versions and cipher suites it was given', async () => {
    const { log } = heardLog();
    const old = await openTls({
      ...baseOptions(),
      log,
      limits: { minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-GCM-SHA256' },
    });
    const listener = await greeter(['https://127.0.0.1:0'], log, old);
    assert.equal(await secureAnswer(listener), 'secure hello');
    assert.match(await secureAnswer(listener, { minVersion: 'TLSv1.3' }), /^error/);
    assert.match(
      await secureAnswer(listener, { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES256-GCM-SHA384' }),
      /^error/,
    );
    await listener.close();
    old.close();
  });

  test('listens on a socket file, takes over one that was left behind, and leaves other files alone', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'keelson-unix-'));
    const path = join(directory, 'store.sock');
    const { log } = heardLog();
    const tls = await openTls({ ...baseOptions(), log });
    const listener = await greeter([`unix://${path}`, `unixs://${path}`], log, tls);
    assert.equal(await answer(connectPlain({ path })), 'plain hello');
    assert.equal(await answer(connect({ path, ca: authority.pem, servername: 'localhost' })), 'secure hello');
    await assert.rejects(greeter([`unix://${path}`], log), { code: 'LISTEN', message: /EADDRINUSE/ });
    await listener.close();
    await writeFile(path, 'precious');
    await assert.rejects(greeter([`unix://${path}`], log), { code: 'LISTEN' });
    await assert.rejects(greeter([`unix://${directory}`], log), { code: 'LISTEN' });
    tls.close();
    await rm(directory, { recursive: true });
  });

  test('drops whoever says nothing, and closes although somebody is in the middle of a handshake', async () => {
    const { log } = heardLog();
    const tls = await openTls({ ...baseOptions(), log });
    const listener = await greeter(['https://127.0.0.1:0'], log, tls);
    const silent = connectPlain(portOf(listener), '127.0.0.1');
    await new Promise((resolve) => silent.once('connect', resolve));
    const gone = new Promise((resolve) => silent.once('close', resolve));
    silent.on('error', () => undefined);
    // The first byte of a handshake that never goes on.
    silent.write(Buffer.from([0x16, 0x03, 0x01]));
    assert.equal(await secureAnswer(listener), 'secure hello');
    await listener.close();
    await gone;
    tls.close();
  });

  test('waits ten seconds for the first byte, and for the end of a handshake', async () => {
    const { log, next } = heardLog();
    const clock = new FakeClock();
    const tls = await openTls({ ...baseOptions(), log });
    const urls = ['https://127.0.0.1:0'];
    const taken = Promise.withResolvers<void>();
    const timed = {
      after: (delayMs: number, callback: () => void) => {
        taken.resolve();
        return clock.after(delayMs, callback);
      },
    };
    const listener = await openListener({
      clock: timed,
      log,
      endpoint: 'peer',
      urls,
      tls,
      onConnection: () => assert.fail(),
    });
    open.push(listener);
    const silent = connectPlain(portOf(listener), '127.0.0.1');
    const gone = new Promise((resolve) => silent.once('close', resolve));
    silent.on('error', () => undefined);
    await taken.promise;
    const rejected = next('rejected connection on peer endpoint');
    await clock.advance(10_000);
    assert.equal((await rejected).fields['error'], 'the TLS handshake took too long');
    await gone;
  });

  test('a certificate that does not fit its key is refused at once', async () => {
    const other = await authority.issue({ commonName: 'other' });
    const bad = await filesOf({ cert: server.cert, key: other.key });
    const options = { ...baseOptions(), log: silentLog, files: { cert: bad.path('cert'), key: bad.path('key') } };
    await assert.rejects(openServerTls(options), { code: 'BAD_CERTIFICATE' });
    await bad.remove();
  });
});
