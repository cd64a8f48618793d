/**
 * Everything that is answered over plain HTTP is fed random and mutated requests: JSON for every route of the gateway, forms for
 * the old keys, paths and headers for the rest. Each is answered or refused with a status that blames the request, what is
 * refused writes nothing, and the member goes on serving.
 */
import assert from 'node:assert/strict';
import { request as httpRequest } from 'node:http';
import { after, before, test } from 'node:test';
import type protobuf from 'protobufjs';
import { seededRandom } from '../../../chaos/sim/random.ts';
import type { Random } from '../../../src/env/random.ts';
import { storeDescriptors } from '../../../src/kv/gateway/descriptors.ts';
import { jsonFromMessage } from '../../../src/kv/gateway/json-messages.ts';
import { gatewayRoutes } from '../../../src/kv/gateway/routes.ts';
import { createV2Handler } from '../../../src/kv/v2/v2-handler.ts';
import { loadRoot } from '../../../src/proto/grpc-service.ts';
import { mutated, randomMessage } from '../../support/random-messages.ts';
import { type HttpMember, startHttpMember } from './http-member.ts';

const requestsPerRoute = 25;
/** Watches, locks and long polls may have nothing to say for ever: their callers hang up. */
const patienceMs = 40;
/** Ends what the others are tried on. */
const left: readonly string[] = ['/v3/auth/enable'];
/** These write before they wait, and take it back when the caller hangs up. */
const waiting = /\/(campaign|lock|observe|watch|keepalive|snapshot)$/;
/** Elections of etcd have no code of their own for these. */
const codeless = /"message":"(\\"leader\\" field must be provided|election: [^"]*)"/;

let keelson: HttpMember;

before(async () => {
  keelson = await startHttpMember((server) => ({ '/v2/': createV2Handler(server) }));
});
after(() => keelson?.stop());

interface Sent {
  readonly method: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
}

interface Answered {
  /** 0: nothing was said in time, or the request was no HTTP. */
  readonly status: number;
  readonly body: string;
}

function send({ method, path, headers = {}, body = new Uint8Array(0) }: Sent): Promise<Answered> {
  return new Promise((resolve) => {
    let text = '';
    let status = 0;
    const done = () => {
      clearTimeout(timer);
      resolve({ status, body: text });
      sent.destroy();
    };
    const { hostname, port } = new URL(keelson.url);
    const sent = httpRequest({ hostname, port, method, path, headers, agent: false }, (answer) => {
      status = answer.statusCode ?? 0;
      answer.on('data', (chunk: Buffer) => {
        text += chunk.toString('latin1');
      });
      answer.once('end', done);
      answer.on('error', () => undefined);
    });
    // A whole answer to a request that does not wait takes a few milliseconds, also on a busy machine.
    const timer = setTimeout(done, waiting.test(path) || /wait/.test(path) ? patienceMs : 10_000);
    sent.on('error', done);
    sent.end(body);
  });
}

function check({ method, path, body }: Sent, answer: Answered): void {
  const shown = () =>
    `${method} ${path} ${Buffer.from(body ?? []).toString('latin1')}: ${answer.status} ${answer.body}`;
  if (codeless.test(answer.body)) return;
  assert.ok(answer.status < 500 || [501, 503, 504].includes(answer.status), shown());
}

function typeOf(path: string): protobuf.Type {
  const [, service = '', method = ''] = path.split('/');
  for (const descriptor of storeDescriptors) {
    const found = loadRoot(descriptor).lookup(service) as protobuf.Service | null;
    const known = found?.methods?.[method];
    known?.resolve();
    if (known?.resolvedRequestType) return known.resolvedRequestType;
  }
  throw new TypeError(`no descriptor has ${path}`);
}

const oddJson = [
  '',
  '[]',
  'null',
  '1',
  '"x"',
  '{',
  '{}{}',
  '{"key":{}}',
  '{"key":1}',
  `${'{"a":'.repeat(5_000)}1`,
  '\u0000',
];

function jsonFor(random: Random, type: protobuf.Type): Uint8Array {
  if (random.next() < 0.1) return Buffer.from(oddJson[random.integer(0, oddJson.length - 1)] as string);
  const message = type.decode(type.encode(randomMessage(random, type)).finish());
  const text = JSON.stringify(jsonFromMessage(type, message as unknown as Record<string, unknown>));
  const source = Buffer.from(random.next() < 0.2 ? text.repeat(2) : text);
  // Nothing of some megabytes: how much is taken has a test of its own.
  const bounded = source.subarray(0, 20_000);
  return random.next() < 0.5 ? bounded : mutated(random, bounded);
}

test('every route of the gateway survives random and mutated JSON', { timeout: 120_000 }, async () => {
  const { server } = keelson.member;
  const routes = Object.entries(gatewayRoutes).filter(([route]) => !left.includes(route));
  // Those that wait come last: what they take back after their caller has gone would be taken for another route's writing.
  const inTurn = [
    ...routes.filter(([route]) => !waiting.test(route)),
    ...routes.filter(([route]) => waiting.test(route)),
  ];
  for (const [route, path] of inTurn) {
    const random = seededRandom(route);
    const type = typeOf(path);
    for (let count = 0; count < (waiting.test(route) ? 8 : requestsPerRoute); count++) {
      const before = server.position().revision;
      const sent = { method: 'POST', path: route, body: jsonFor(random, type) };
      const answer = await send(sent);
      check(sent, answer);
      if (waiting.test(route)) continue;
      assert.ok(answer.status > 0, `${route} is answered`);
      assert.doesNotThrow(() => JSON.parse(answer.body), `${route} answers JSON: ${answer.body}`);
      if (answer.status !== 200) assert.equal(server.position().revision, before, `${route} was refused and wrote`);
    }
    for (const { memberId, alarm } of server.alarms()) await server.setAlarm('deactivate', memberId, alarm);
  }
});

const pick = <T>(random: Random, list: readonly T[]): T => list[random.integer(0, list.length - 1)] as T;
const methods = ['GET', 'HEAD', 'PUT', 'POST', 'DELETE', 'PATCH', 'OPTIONS'];
const names = ['', 'a', 'a/b', '_hidden', '..', '%2e%2e', '%', '%ff', 'x'.repeat(500), 'ä'.normalize(), '0', '/', '//'];
const fields = [
  'value',
  'ttl',
  'dir',
  'prevExist',
  'prevValue',
  'prevIndex',
  'recursive',
  'sorted',
  'wait',
  'waitIndex',
  'refresh',
];
const values = [
  '',
  'true',
  'false',
  'x',
  '0',
  '-1',
  '1',
  '5',
  '18446744073709551616',
  '9007199254740993',
  'NaN',
  '%00',
];

test('the old keys survive random paths and forms', { timeout: 60_000 }, async () => {
  const random = seededRandom('forms');
  for (let count = 0; count < 400; count++) {
    const form = Array.from(
      { length: random.integer(0, 4) },
      () => `${pick(random, fields)}=${pick(random, values)}`,
    ).join('&');
    const inQuery = random.next() < 0.5;
    const path = encodeURI(`/v2/keys/${pick(random, names)}`).replaceAll('%25', '%') + (inQuery ? `?${form}` : '');
    const body = random.next() < 0.2 ? mutated(random, Buffer.from(form)) : Buffer.from(form);
    const headers = { 'content-type': 'application/x-www-form-urlencoded' };
    const sent = { method: pick(random, methods), path, headers, ...(inQuery ? {} : { body }) };
    check(sent, await send(sent));
  }
});

const paths = [
  '/health',
  '/livez',
  '/readyz/ping',
  '/metrics',
  '/version',
  '/debug/vars',
  '/config/local/log',
  '/v3/',
  '/v2/',
  '*',
];
const queries = [
  '',
  '?serializable=true',
  '?exclude=NOSPACE',
  '?exclude=',
  '?verbose',
  '?%',
  '?a[]=1&a[]=2',
  '#x',
  '/..',
  '%00',
];

test('probes, figures and whatever else is asked for survive random paths, methods and bodies', {
  timeout: 60_000,
}, async () => {
  const random = seededRandom('paths');
  for (let count = 0; count < 300; count++) {
    const whole = `${pick(random, paths)}${pick(random, queries)}`;
    // Characters that no client lets through would test the client.
    const path = Buffer.from(random.next() < 0.4 ? mutated(random, Buffer.from(whole)) : whole)
      .toString('latin1')
      .replaceAll(/[^!-~]/g, '~');
    const headers: Record<string, string> =
      random.next() < 0.3 ? { host: pick(random, ['', 'x', '[::1', 'a:b:c']) } : {};
    if (random.next() < 0.3) headers['origin'] = pick(random, ['null', 'http://x', '']);
    const sent = {
      method: pick(random, methods),
      path,
      headers,
      body: Buffer.from(pick(random, ['', '{"Level":1}', '{"Level":"x"}', '{'])),
    };
    check(sent, await send(sent));
  }
});

test('after all of it the member answers', async () => {
  const put = { key: 'YWxpdmU=', value: 'eWVz' };
  const { status } = await send({ method: 'POST', path: '/v3/kv/put', body: Buffer.from(JSON.stringify(put)) });
  assert.equal(status, 200);
  assert.match((await send({ method: 'GET', path: '/health' })).body, /"health":"true"/);
});
