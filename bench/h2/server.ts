/** Child process of the h2 bench: one RPC server whose Put answers at once, so that what is measured is the server alone. */
import { realClock, realDisk } from '../../src/env/real.ts';
import { silentLog } from '../../src/env/log.ts';
import { startGrpcServer } from '../../src/kv/rpc/grpc-server.ts';
import { startH2Server } from '../../src/rpc/h2/index.ts';
import { codecOf, type RpcMethod } from '../../src/rpc/service.ts';
import { anyName } from '../../src/rpc/tls/rules.ts';
import { openServerTls } from '../../src/rpc/tls/server-tls.ts';
import { kvService } from '../../src/kv/rpc/services.ts';

const [kind, directory] = process.argv.slice(2);
const put: RpcMethod = {
  kind: 'unary',
  ...codecOf<object, object>(kvService['Put']),
  handle: async () => ({ header: { clusterId: 1n, memberId: 2n, revision: 1_000_000, raftTerm: 3 } }),
};
const tls =
  directory === undefined
    ? undefined
    : await openServerTls({
        disk: realDisk,
        clock: realClock,
        log: silentLog,
        files: { ca: `${directory}/ca.crt`, cert: `${directory}/server.crt`, key: `${directory}/server.key` },
        isClientVerified: true,
        limits: { minVersion: 'TLSv1.2' },
        allowed: anyName,
      });
const start = kind === 'grpc-js' ? startGrpcServer : startH2Server;
const server = await start({
  clock: realClock,
  log: silentLog,
  methods: [put],
  listenUrls: [`${tls ? 'https' : 'http'}://127.0.0.1:0`],
  ...(tls ? { listen: { tls } } : {}),
  messageBytesMax: 2 * 1024 * 1024,
  concurrentStreamsMax: 100_000,
  keepaliveIntervalMs: 7_200_000,
  keepaliveTimeoutMs: 20_000,
});
process.stdout.write(`${server.urls[0]}\n`);
