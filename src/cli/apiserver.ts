/** `keelson apiserver`: one API server. Flags are kube-apiserver's. */
import { collectDefaultMetrics, Registry } from 'prom-client';
import { ApiServer } from '../control/apiserver/api-server.ts';
import { parseIpv4Range } from '../control/apiserver/allocators.ts';
import { readTokenKeys } from '../control/apiserver/service-account-tokens.ts';
import { errorText, KeelsonError } from '../env/errors.ts';
import type { Disk } from '../env/disk.ts';
import { realEnv } from '../env/real.ts';
import { createKvClient } from '../kv/client/client.ts';
import { flagHelp, parseFlags, UsageError } from './flags.ts';
import { untilStopSignal } from './runtime.ts';

const flags = {
  'bind-address': { type: 'string', default: '0.0.0.0', help: 'address to listen on' },
  'secure-port': { type: 'number', default: 6443, max: 65535, help: 'port for HTTPS; 0 = any free one' },
  'advertise-address': {
    type: 'string',
    help: 'address that other members reach this server at; default: bind-address',
  },
  'etcd-servers': { type: 'list', help: 'URLs of the store members, comma separated' },
  'etcd-cafile': { type: 'string', help: 'CA of the store' },
  'etcd-certfile': { type: 'string', help: 'client certificate for the store' },
  'etcd-keyfile': { type: 'string', help: 'key of the client certificate for the store' },
  'tls-cert-file': { type: 'string', required: true, help: 'serving certificate' },
  'tls-private-key-file': { type: 'string', required: true, help: 'key of the serving certificate' },
  'client-ca-file': { type: 'string', required: true, help: 'CA of client certificates' },
  'service-account-key-file': { type: 'list', help: 'public keys that service account tokens are verified with' },
  'service-account-signing-key-file': {
    type: 'string',
    help: 'private key that service account tokens are signed with',
  },
  'service-account-issuer': {
    type: 'string',
    default: 'https://kubernetes.default.svc.cluster.local',
    help: 'issuer of service account tokens',
  },
  'api-audiences': { type: 'list', help: 'audiences of tokens for this API; default: the issuer' },
  'service-cluster-ip-range': { type: 'string', default: '10.96.0.0/16', help: 'IPv4 range of Service addresses' },
  'service-node-port-range': { type: 'string', default: '30000-32767', help: 'range of node ports' },
  'kubelet-client-certificate': { type: 'string', help: 'client certificate for node agents' },
  'kubelet-client-key': { type: 'string', help: 'key of the client certificate for node agents' },
  'kubelet-certificate-authority': { type: 'string', help: 'CA of node agents; without it they are not verified' },
  'default-not-ready-toleration-seconds': {
    type: 'number',
    default: 300,
    help: 'how long a pod stays on a node that is not ready',
  },
  'default-unreachable-toleration-seconds': {
    type: 'number',
    default: 300,
    help: 'how long a pod stays on a node that cannot be reached',
  },
  'log-level': { type: 'string', default: 'info', help: 'debug, info, warn or error' },
  help: { type: 'boolean', help: 'show this text' },
} as const;

const levels = ['debug', 'info', 'warn', 'error'] as const;

async function read(disk: Disk, flag: string, path: string): Promise<Uint8Array> {
  try {
    return await disk.readFile(path);
  } catch (error) {
    throw new KeelsonError('FLAG_FILE', `cannot read the file of --${flag}: ${errorText(error)}`, { cause: error });
  }
}

async function readIfGiven(disk: Disk, flag: string, path: string | undefined): Promise<Uint8Array | undefined> {
  return path === undefined || path === '' ? undefined : read(disk, flag, path);
}

function parsePorts(text: string): { first: number; last: number } {
  const match = /^(\d+)-(\d+)$/.exec(text);
  const [first, last] = [Number(match?.[1]), Number(match?.[2])];
  if (match === null || first < 1 || first > last || last > 65535) {
    throw new UsageError(
      `keelson apiserver: invalid value ${JSON.stringify(text)} for flag --service-node-port-range: want FIRST-LAST within 1 to 65535`,
    );
  }
  return { first, last };
}

/** Runs until a signal; 0 = stopped in order. */
export async function run(args: readonly string[]): Promise<number> {
  if (args.includes('--help') || args.includes('-h')) {
    process.stdout.write(
      flagHelp('keelson apiserver [flags]', 'Runs an API server: the stateless REST front end of a cluster.', flags),
    );
    return 0;
  }
  const { values } = parseFlags(flags, { command: 'apiserver', args });
  const level = levels.find((item) => item === values['log-level']);
  if (level === undefined) {
    throw new UsageError(
      `keelson apiserver: invalid value ${JSON.stringify(values['log-level'])} for flag --log-level: want one of ${levels.join(', ')}`,
    );
  }
  if (values['etcd-servers'].length === 0) throw new UsageError('keelson apiserver: flag --etcd-servers is required');
  const serviceRange = parseIpv4Range(values['service-cluster-ip-range']);
  if (serviceRange === undefined) {
    throw new UsageError(
      `keelson apiserver: invalid value ${JSON.stringify(values['service-cluster-ip-range'])} for flag --service-cluster-ip-range: want an IPv4 range such as 10.96.0.0/16`,
    );
  }
  const nodePorts = parsePorts(values['service-node-port-range']);
  const env = realEnv(level);
  const { disk } = env;
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  const [etcdCa, etcdCert, etcdKey] = await Promise.all([
    readIfGiven(disk, 'etcd-cafile', values['etcd-cafile']),
    readIfGiven(disk, 'etcd-certfile', values['etcd-certfile']),
    readIfGiven(disk, 'etcd-keyfile', values['etcd-keyfile']),
  ]);
  const signing = await readIfGiven(
    disk,
    'service-account-signing-key-file',
    values['service-account-signing-key-file'],
  );
  const publicKeys = await Promise.all(
    values['service-account-key-file'].map((path) => read(disk, 'service-account-key-file', path)),
  );
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const server = new ApiServer({
    env,
    kv: createKvClient({
      clock: env.clock,
      endpoints: values['etcd-servers'],
      ...(etcdCa !== undefined && etcdCert !== undefined && etcdKey !== undefined
        ? { tls: { ca: etcdCa, cert: etcdCert, key: etcdKey } }
        : {}),
      timeoutMs: 5_000,
    }),
    bindAddress: values['bind-address'],
    securePort: values['secure-port'],
    advertiseAddress: values['advertise-address'] ?? values['bind-address'],
    cert: await read(disk, 'tls-cert-file', values['tls-cert-file']),
    key: await read(disk, 'tls-private-key-file', values['tls-private-key-file']),
    clientCa: await read(disk, 'client-ca-file', values['client-ca-file']),
    tokenKeys: readTokenKeys(publicKeys.map(text), signing === undefined ? undefined : text(signing)),
    tokenIssuer: values['service-account-issuer'],
    apiAudiences: values['api-audiences'].length > 0 ? values['api-audiences'] : [values['service-account-issuer']],
    serviceRange,
    nodePorts,
    kubelet: {
      cert: await readIfGiven(disk, 'kubelet-client-certificate', values['kubelet-client-certificate']),
      key: await readIfGiven(disk, 'kubelet-client-key', values['kubelet-client-key']),
      ca: await readIfGiven(disk, 'kubelet-certificate-authority', values['kubelet-certificate-authority']),
    },
    defaultNotReadyTolerationSeconds: values['default-not-ready-toleration-seconds'],
    defaultUnreachableTolerationSeconds: values['default-unreachable-toleration-seconds'],
    registry,
    onFatal: (error) => {
      env.log.error('the API server cannot go on', {
        error: error instanceof Error ? (error.stack ?? error.message) : String(error),
      });
      process.exit(1);
    },
  });
  const stopAsked = untilStopSignal();
  await server.start();
  env.log.info('stopping', { signal: await stopAsked });
  await server.stop();
  return 0;
}
