/** Blocks that frames are written to: used again when what was in them has gone out, and never before. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, connect, type Socket } from 'node:net';
import { test } from 'node:test';
import { OutputBuffer } from '../../../src/rpc/h2/output-buffer.ts';
import { SocketWriter } from '../../../src/rpc/h2/socket-writer.ts';

const runBytes = 40 * 1024;

function writeRun(output: OutputBuffer, content: number, bytes = runBytes): readonly Buffer[] {
  output.begin(bytes);
  output.append(Buffer.alloc(bytes, content));
  return output.take();
}

const holds = (parts: readonly Buffer[], content: number) => Buffer.concat(parts).every((byte) => byte === content);

test('one block serves run after run that goes out at once', () => {
  const output = new OutputBuffer();
  const { block } = output;
  for (let run = 0; run < 1000; run++) {
    writeRun(output, run);
    assert.ok(output.takenBlock);
    output.giveBack(output.takenBlock);
    assert.equal(output.block, block);
  }
  assert.equal(output.blocks, 1);
});

test('what has not gone out is not written over, however much follows', () => {
  const output = new OutputBuffer();
  const kept = writeRun(output, 1);
  const keptBlock = output.takenBlock;
  for (let run = 0; run < 100; run++) {
    writeRun(output, 2);
    if (output.takenBlock) output.giveBack(output.takenBlock);
  }
  assert.ok(holds(kept, 1));
  assert.ok(keptBlock);
  output.giveBack(keptBlock);
  assert.ok(output.blocks <= 3, `${output.blocks} blocks`);
});

test('a thousand slow connections hold their bytes and no blocks beyond the limit', () => {
  const output = new OutputBuffer();
  const runs = Array.from({ length: 1000 }, (_, run) => ({
    content: run % 251,
    parts: writeRun(output, run % 251, 1 + run * 100),
    block: output.takenBlock,
  }));
  assert.ok(output.blocks < 70, `${output.blocks} blocks`);
  for (const { content, parts } of runs) assert.ok(holds(parts, content));
  for (const { block } of runs) if (block) output.giveBack(block);
  assert.ok(output.blocks <= 20, `${output.blocks} blocks`);
});

test('a run may hold large pieces as they are', () => {
  const output = new OutputBuffer();
  const large = Buffer.alloc(1024 * 1024, 7);
  output.begin(100);
  output.append(Buffer.from('head'));
  output.append(large);
  output.append(Buffer.from('tail'));
  const parts = output.take();
  assert.deepEqual(
    parts.map((part) => part.length),
    [4, large.length, 4],
  );
  assert.equal(parts[1], large);
});

/** Both ends of a connection over loopback. */
async function pair(): Promise<{ near: Socket; far: Socket; close(): void }> {
  const server = createServer({ pauseOnConnect: true }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const near = connect((server.address() as { port: number }).port, '127.0.0.1');
  const [far] = (await once(server, 'connection')) as [Socket];
  near.on('error', () => undefined);
  far.on('error', () => undefined);
  return {
    near,
    far,
    close: () => {
      near.destroy();
      far.destroy();
      server.close();
    },
  };
}

test('a socket gives blocks back when they are sent; the reader gets all of it in order', async () => {
  const { near, far, close } = await pair();
  const output = new OutputBuffer();
  const writer = new SocketWriter(near, output);
  const runs = 200;
  for (let run = 0; run < runs; run++) {
    output.begin(runBytes);
    output.append(Buffer.alloc(runBytes, run));
    // Goes on although the socket is full.
    writer.writeRun();
  }
  assert.ok(output.blocks > 2, 'the reader has not begun: some wait');
  let bytes = 0;
  far.on('data', (chunk: Buffer) => {
    for (const byte of chunk) {
      if (byte !== Math.floor(bytes / runBytes) % 256) assert.fail(`byte ${bytes} is ${byte}`);
      bytes++;
    }
    if (bytes === runs * runBytes) far.emit('all');
  });
  far.resume();
  await once(far, 'all');
  while (near.writableLength > 0) await once(near, 'drain');
  await new Promise((resolve) => setImmediate(resolve));
  assert.ok(output.blocks <= 17, `${output.blocks} blocks are kept`);
  close();
});

test('a socket that breaks gives its blocks back', async () => {
  const { near, close } = await pair();
  const output = new OutputBuffer();
  const writer = new SocketWriter(near, output);
  for (let run = 0; run < 400; run++) {
    output.begin(runBytes);
    output.append(Buffer.alloc(runBytes, run));
    writer.writeRun();
  }
  const held = output.blocks;
  near.destroy();
  await once(near, 'close');
  await new Promise((resolve) => setImmediate(resolve));
  assert.ok(held > 20 && output.blocks <= 17, `${held} blocks were held, ${output.blocks} are kept`);
  close();
});
