/** What is measured call by call: each work runs for some seconds against one cluster and gives a sample. */
import { LeanConnection } from '../load/connection.ts';
import { runLoad, type Sample, type Target } from '../load/closed-loop.ts';
import { encodeMessage, keyMarker, type Template, template } from '../load/messages.ts';
import { ask, runFanOut, runKeepAlive } from '../load/streams.ts';

export interface Work {
  readonly name: string;
  /** What a "call" of the figures is. */
  readonly unit: string;
  /** Only for clusters of three of which one has been ended. */
  readonly isDegraded?: boolean;
  run(target: Target, seconds: number): Promise<Sample>;
}

/** With its prefix and digits a key has 30 bytes. */
const key = keyMarker('bench/aaaaaaaaaaaaaa');
const value = Buffer.alloc(256, 'v');
const keys = 10_000;

const putMessage = encodeMessage([
  [1, key],
  [2, value],
]);
const rangeMessage = encodeMessage([[1, key]]);
const serializableMessage = encodeMessage([
  [1, key],
  [7, true],
]);
/** "If the key has ever been written, write it, else write it": what most transactions look like, without failing ones. */
const txnMessage = encodeMessage([
  // Compare: version (target 0) greater (1) than 0.
  [
    1,
    encodeMessage([
      [1, 1],
      [2, 0],
      [3, key],
      [4, 0],
    ]),
  ],
  [2, encodeMessage([[2, putMessage]])],
  [3, encodeMessage([[2, putMessage]])],
]);
const putPath = '/etcdserverpb.KV/Put';
const rangePath = '/etcdserverpb.KV/Range';
const txnPath = '/etcdserverpb.KV/Txn';

function unary(name: string, inFlight: number, calls: readonly (readonly [string, Template, number])[]): Work {
  return {
    name,
    unit: 'call',
    run: (target, seconds) =>
      runLoad(target, {
        calls: calls.map(([path, message, weight]) => ({ path, message, weight })),
        inFlight,
        seconds,
        keys,
      }),
  };
}

const puts = (inFlight: number) => unary(`put-${inFlight}`, inFlight, [[putPath, template(putMessage), 1]]);

const watchedKey = Buffer.from('bench/watched');
const watchedPut = template(
  encodeMessage([
    [1, watchedKey],
    [2, value],
  ]),
);

export const works: readonly Work[] = [
  puts(1),
  puts(100),
  puts(1000),
  unary('range-1', 1, [[rangePath, template(rangeMessage), 1]]),
  unary('range-1000', 1000, [[rangePath, template(rangeMessage), 1]]),
  unary('serializable-1000', 1000, [[rangePath, template(serializableMessage), 1]]),
  unary('txn-mixed-100', 100, [
    [txnPath, template(txnMessage), 1],
    [rangePath, template(rangeMessage), 1],
  ]),
  {
    name: 'watch-1000',
    unit: 'event',
    run: (target, seconds) =>
      runFanOut(
        target,
        { watchers: 1000, watchersPerStream: 100, writer: watchedPut, writesInFlight: 8, seconds },
        watchedKey,
      ),
  },
  { name: 'keep-alive-100', unit: 'call', run: (target, seconds) => runKeepAlive(target, { streams: 100, seconds }) },
  { ...puts(1000), name: 'put-1000-down', isDegraded: true },
];

/**
 * Puts of a hundred clients that nobody counts: servers that run for weeks are compared, not the first seconds of their
 * processes, in which a member's code is compiled.
 */
export async function warmUp(target: Target, seconds: number): Promise<void> {
  await puts(100).run(target, seconds);
}

/** Puts all the keys that the works read, with 100 in each transaction. */
export async function fillKeys(target: Target, count: number, prefix = key.slice(0, -10)): Promise<void> {
  const connection = await LeanConnection.open({
    endpoint: target.endpoints[0] as string,
    tls: target.tls,
    onBroken: (error) => {
      throw error;
    },
  });
  let next = 0;
  const write = async () => {
    while (next < count) {
      const operations: [2, Buffer][] = [];
      for (let taken = 0; taken < 40 && next < count; taken++, next++) {
        const put = encodeMessage([
          [1, `${prefix}${String(next).padStart(10, '0')}`],
          [2, value],
        ]);
        operations.push([2, encodeMessage([[2, put]])]);
      }
      await ask(connection, txnPath, encodeMessage(operations));
    }
  };
  await Promise.all(Array.from({ length: 16 }, write));
  connection.close();
}
