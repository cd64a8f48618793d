/** Load over long streams: watch fan-out and lease keep-alives; and single calls whose answer is wanted. */
import { type LeanConnection, type CallSink } from './connection.ts';
import { openConnections, type Sample, sampleOf, type Target } from './closed-loop.ts';
import { countEvents, encodeMessage, numberField, type Template } from './messages.ts';
import { cpuMicroseconds } from './usage.ts';

/** One call; resolves with its answer's bytes. */
export function ask(connection: LeanConnection, path: string, message: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    let answer: Buffer = Buffer.alloc(0);
    const sink: CallSink = {
      onMessage: (bytes) => {
        answer = Buffer.from(bytes);
      },
      onEnd: (isOk) => (isOk ? resolve(answer) : reject(new Error(`${path} failed`))),
    };
    connection.call(path, { bytes: message, digitsAt: [] }, 0, sink);
  });
}

export interface FanOutPlan {
  readonly watchers: number;
  readonly watchersPerStream: number;
  readonly writer: Template;
  readonly writesInFlight: number;
  readonly seconds: number;
}

/**
 * Every watcher watches the one key that the writer puts, so each put is `watchers` events. Counted are events that
 * arrived while the writer wrote; afterwards the rest is awaited, so that none may be lost.
 */
export async function runFanOut(target: Target, plan: FanOutPlan, key: Buffer): Promise<Sample> {
  const streams = Math.ceil(plan.watchers / plan.watchersPerStream);
  const connections = await openConnections(target, Math.min(1000, streams * 100));
  const [writer] = await openConnections({ ...target, endpoints: target.endpoints.slice(0, 1) }, 1);
  if (writer === undefined) throw new Error('no connection to write with');
  let created = 0;
  let events = 0;
  let wantedEvents = Number.POSITIVE_INFINITY;
  const allCreated = Promise.withResolvers<void>();
  const allSeen = Promise.withResolvers<void>();
  const open = Array.from({ length: streams }, (_, index) => {
    const connection = connections[index % connections.length] as LeanConnection;
    return connection.stream('/etcdserverpb.Watch/Watch', {
      onMessage: (message) => {
        if (numberField(message, 3) === 1) {
          created += 1;
          if (created === plan.watchers) allCreated.resolve();
        }
        events += countEvents(message);
        if (events >= wantedEvents) allSeen.resolve();
      },
      onEnd: () => allSeen.reject(new Error('a watch stream ended')),
    });
  });
  const create = encodeMessage([[1, encodeMessage([[1, key]])]]);
  for (let index = 0; index < plan.watchers; index++) open[index % streams]?.send(create);
  await allCreated.promise;

  const tookMs: number[] = [];
  const cpuBefore = cpuMicroseconds(target.pids());
  const startedMs = performance.now();
  const untilMs = startedMs + plan.seconds * 1000;
  const write = async () => {
    while (performance.now() < untilMs) {
      const beginMs = performance.now();
      await ask(writer, '/etcdserverpb.KV/Put', plan.writer.bytes);
      tookMs.push(performance.now() - beginMs);
    }
  };
  await Promise.all(Array.from({ length: plan.writesInFlight }, write));
  wantedEvents = tookMs.length * plan.watchers;
  if (events < wantedEvents) await allSeen.promise;
  const seconds = (performance.now() - startedMs) / 1000;
  const cpu = cpuMicroseconds(target.pids()) - cpuBefore;
  for (const connection of [...connections, writer]) connection.close();
  const sample = sampleOf(tookMs, seconds, cpu / wantedEvents);
  return { ...sample, perSecond: wantedEvents / seconds };
}

/** Keep-alives of one lease per stream, each answered one followed by the next. */
export async function runKeepAlive(target: Target, plan: { streams: number; seconds: number }): Promise<Sample> {
  const connections = await openConnections(target, plan.streams);
  const leases = await Promise.all(
    Array.from({ length: plan.streams }, async (_, index) => {
      const connection = connections[index % connections.length] as LeanConnection;
      const answer = await ask(connection, '/etcdserverpb.Lease/LeaseGrant', encodeMessage([[1, 600]]));
      return int64Field(answer, 2);
    }),
  );
  const tookMs: number[] = [];
  const cpuBefore = cpuMicroseconds(target.pids());
  const startedMs = performance.now();
  const untilMs = startedMs + plan.seconds * 1000;
  await Promise.all(
    leases.map(
      (lease, index) =>
        new Promise<void>((resolve, reject) => {
          const message = encodeMessage([[1, lease]]);
          let beginMs = performance.now();
          const stream = (connections[index % connections.length] as LeanConnection).stream(
            '/etcdserverpb.Lease/LeaseKeepAlive',
            {
              onMessage: () => {
                const nowMs = performance.now();
                tookMs.push(nowMs - beginMs);
                if (nowMs >= untilMs) {
                  stream.close();
                  return resolve();
                }
                beginMs = nowMs;
                stream.send(message);
              },
              onEnd: () => reject(new Error('a keep-alive stream ended')),
            },
          );
          stream.send(message);
        }),
    ),
  );
  const seconds = (performance.now() - startedMs) / 1000;
  const cpu = cpuMicroseconds(target.pids()) - cpuBefore;
  for (const lease of leases) {
    await ask(connections[0] as LeanConnection, '/etcdserverpb.Lease/LeaseRevoke', encodeMessage([[1, lease]]));
  }
  for (const connection of connections) connection.close();
  return sampleOf(tookMs, seconds, cpu / tookMs.length);
}

/** A top-level varint field, exact to 64 bits. */
function int64Field(message: Buffer, wanted: number): bigint {
  let at = 0;
  const varint = (): bigint => {
    let result = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = message[at++];
      if (byte === undefined) return result;
      result |= BigInt(byte & 127) << shift;
      if (byte < 128) return result;
    }
  };
  while (at < message.length) {
    const tag = Number(varint());
    if ((tag & 7) === 2) {
      const length = Number(varint());
      at += length;
      continue;
    }
    const value = varint();
    if (tag >>> 3 === wanted) return value;
  }
  return 0n;
}
