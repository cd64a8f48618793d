/** Clients that are there and do little: connections without calls, watches of keys, and watches that nobody reads. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { LeanConnection } from './connection.ts';
import type { Target } from './closed-loop.ts';
import { encodeMessage, numberField } from './messages.ts';

/** HTTP/2's preface and empty settings. */
const greeting = Buffer.concat([
  Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1'),
  Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]),
]);
/** The listen queues of servers are short. */
const openedAtOnce = 100;

/** HTTP/2 connections over plain sockets that have greeted and then say nothing. */
export async function openIdle(endpoint: string, count: number): Promise<Socket[]> {
  const url = new URL(endpoint);
  const sockets: Socket[] = [];
  const open = async () => {
    const socket = connect({ host: url.hostname, port: Number(url.port) });
    sockets.push(socket);
    await once(socket, 'connect');
    socket.write(greeting);
    await once(socket, 'data');
    socket.on('error', () => undefined);
    socket.resume();
  };
  while (sockets.length < count) {
    await Promise.all(Array.from({ length: Math.min(openedAtOnce, count - sockets.length) }, open));
  }
  return sockets;
}

export interface WatchPlan {
  readonly connections: number;
  readonly streamsPerConnection: number;
  readonly watchesPerStream: number;
  /** Key, and end of the range if it is one, of each watch. */
  readonly range: (index: number) => readonly [key: string, rangeEnd?: string];
}

/** Watches that were acknowledged, on connections that are being read. */
export async function openWatches(target: Target, plan: WatchPlan): Promise<LeanConnection[]> {
  const wanted = plan.connections * plan.streamsPerConnection * plan.watchesPerStream;
  const all = Promise.withResolvers<void>();
  const connections: LeanConnection[] = [];
  let created = 0;
  let asked = 0;
  const onMessage = (message: Buffer) => {
    if (numberField(message, 3) !== 1) return;
    created += 1;
    if (created === wanted) all.resolve();
  };
  const onEnd = () => all.reject(new Error('a watch stream ended'));
  for (let count = 0; count < plan.connections; count++) {
    const connection = await LeanConnection.open({
      endpoint: target.endpoints[count % target.endpoints.length] as string,
      tls: target.tls,
      onBroken: () => all.reject(new Error('a connection of watches broke')),
    });
    connections.push(connection);
    for (let stream = 0; stream < plan.streamsPerConnection; stream++) {
      const watches = connection.stream('/etcdserverpb.Watch/Watch', { onMessage, onEnd });
      for (let watch = 0; watch < plan.watchesPerStream; watch++) {
        const [key, rangeEnd] = plan.range(asked++);
        const fields: [number, string][] =
          rangeEnd === undefined
            ? [[1, key]]
            : [
                [1, key],
                [2, rangeEnd],
              ];
        watches.send(encodeMessage([[1, encodeMessage(fields)]]));
      }
    }
  }
  await all.promise;
  return connections;
}
