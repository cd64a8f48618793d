/** An S3 service that answers with other bytes, without end, or breaks off: one line says so, and little is held. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import { seededRandom } from '../../../chaos/sim/random.ts';
import { errorText, KeelsonError } from '../../../src/env/errors.ts';
import type { Destination } from '../../../src/kv/backup/destination.ts';
import { s3Destination } from '../../../src/kv/backup/s3-destination.ts';
import { mutated } from '../../support/random-messages.ts';

let answer: (response: ServerResponse) => void = () => undefined;
const service = createServer((request, response) => {
  request.resume();
  request.on('end', () => answer(response));
  response.on('error', () => undefined);
});
let destination: Destination;

before(async () => {
  service.listen(0, '127.0.0.1');
  await once(service, 'listening');
  const { port } = service.address() as AddressInfo;
  destination = s3Destination({
    endpoint: `http://127.0.0.1:${port}`,
    bucket: 'b',
    prefix: 'p/',
    region: 'r',
    accessKeyId: 'a',
    secretAccessKey: 's',
    partBytes: 10,
  });
});
after(() => {
  service.closeAllConnections();
  service.close();
});

async function* content(bytes: number): AsyncGenerator<Uint8Array> {
  yield new Uint8Array(bytes);
}

async function outcome(action: Promise<unknown>): Promise<KeelsonError | undefined> {
  try {
    await action;
    return undefined;
  } catch (error) {
    assert.ok(error instanceof KeelsonError, String(error));
    assert.ok(!error.message.includes('\n'), errorText(error));
    return error;
  }
}

const listing =
  '<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>p/one&amp;&#x41;&#66;</Key></Contents>' +
  '<Contents><Key>p/two</Key></Contents></ListBucketResult>';
const started =
  '<InitiateMultipartUploadResult><UploadId>u&#x110000;&#zz;&#abc;</UploadId></InitiateMultipartUploadResult>';
const failed = '<Error><Code>NoSuchBucket</Code><Message>&#99999999;\n&lt;none&gt;</Message></Error>';

test('random and mutated answers are names, or an error in one line', { timeout: 60_000 }, async () => {
  const random = seededRandom('answers');
  for (let count = 0; count < 200; count++) {
    const source = Buffer.from([listing, started, failed][random.integer(0, 2)] as string);
    const body = count % 4 === 0 ? source : Buffer.from(mutated(random, source));
    const status = [200, 200, 403, 404][random.integer(0, 3)] as number;
    answer = (response) => {
      response.writeHead(status, random.next() < 0.5 ? { etag: '"e"' } : {});
      response.end(body);
    };
    await outcome(destination.list());
    await outcome(destination.put('name', content(random.integer(0, 30))));
    await outcome(destination.remove('name'));
  }
  answer = (response) => void response.end(listing);
  assert.deepEqual(await destination.list(), ['one&AB', 'two']);
});

test('a listing without end, and pages without end, are given up', { timeout: 60_000 }, async () => {
  answer = (response) => {
    const more = () => {
      while (!response.destroyed && response.write(listing.repeat(100)));
    };
    response.on('drain', more);
    more();
  };
  assert.match((await outcome(destination.list()))?.message ?? '', /more than 4194304 bytes/);
  answer = (response) =>
    void response.end('<IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken>');
  assert.match((await outcome(destination.list()))?.message ?? '', /does not end/);
});

test('an answer that breaks off is an error', async () => {
  answer = (response) => {
    response.writeHead(200, { 'content-length': '1000' });
    response.write('<ListBucketResult>');
    setImmediate(() => response.destroy());
  };
  assert.equal((await outcome(destination.list()))?.code, 'S3_FAILED');
  const read = async () => {
    for await (const chunk of destination.get('name')) assert.ok(chunk.length > 0);
  };
  assert.equal((await outcome(read()))?.code, 'S3_FAILED');
});
