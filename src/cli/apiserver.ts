/** `keelson apiserver`: one API server. Flags are kube-apiserver's. */
import { collectDefaultMetrics, Registry } from 'prom-client';
import { ApiServer } from '../control/apiserver/api-server.ts';
import { parseIpv4Range } from '../control/apiserver/allocators.ts';
import { readTokenKeys } from '../control/apiserver/service-account-tokens.ts';
import type { Disk } from '../env/disk.ts';
import { realEnv } from '../env/real.ts';
import { createKvClient } from '../kv/client/client.ts';
import { readCertificateFile, readPemFile, readServingFiles } from './certificates.ts';
import { logLevelOf } from './component-check.ts';
import { type FlagValues, flagHelp, parseFlags, UsageError } from './flags.ts';
import { checkPorts } from './listen-check.ts';
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

type FileFlag =
  | 'etcd-cafile'
  | 'etcd-certfile'
  | 'etcd-keyfile'
  | 'tls-cert-file'
  | 'tls-private-key-file'
  | 'client-ca-file'
  | 'kubelet-client-certificate'
  | 'kubelet-client-key'
  | 'kubelet-certificate-authority';

/** Every certificate that the flags name, checked; a certificate and its key come together or not at all. */
async function readCertificates(disk: Disk, values: FlagValues<typeof flags>) {
  const file = (flag: FileFlag) => ({ flag, path: values[flag] ?? '' });
  const authority = (flag: FileFlag) => (values[flag] ? readCertificateFile(disk, file(flag)) : undefined);
  const pair = (cert: FileFlag, key: FileFlag) => {
    if (!values[cert] !== !values[key])
      throw new UsageError(`keelson apiserver: --${cert} and --${key} go together: give both or none`);
    return values[cert] ? readServingFiles(disk, file(cert), file(key)) : undefined;
  };
  const etcd = { ca: await authority('etcd-cafile'), client: await pair('etcd-certfile', 'etcd-keyfile') };
  const url = values['etcd-servers'].find((each) => each.startsWith('https:'));
  if (url !== undefined && (etcd.ca === undefined || etcd.client === undefined)) {
    throw new UsageError(
      `keelson apiserver: --etcd-servers has ${url}: --etcd-cafile, --etcd-certfile and --etcd-keyfile are needed`,
    );
  }
  return {
    etcdTls: etcd.ca !== undefined && etcd.client !== undefined ? { ca: etcd.ca, ...etcd.client } : undefined,
    serving: await readServingFiles(disk, file('tls-cert-file'), file('tls-private-key-file')),
    clientCa: await readCertificateFile(disk, file('client-ca-file')),
    kubeletClient: await pair('kubelet-client-certificate', 'kubelet-client-key'),
    kubeletCa: await authority('kubelet-certificate-authority'),
  };
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
  const level = logLevelOf('apiserver', values['log-level']);
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
  const certificates = await readCertificates(disk, values);
  const signingFlag = 'service-account-signing-key-file';
  const signingPath = values[signingFlag];
  const signing = signingPath ? await readPemFile(disk, { flag: signingFlag, path: signingPath }) : undefined;
  const publicKeys = await Promise.all(
    values['service-account-key-file'].map((path) => readPemFile(disk, { flag: 'service-account-key-file', path })),
  );
  await checkPorts([{ flag: 'secure-port', host: values['bind-address'], port: values['secure-port'] }]);
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const server = new ApiServer({
    env,
    kv: createKvClient({
      clock: env.clock,
      endpoints: values['etcd-servers'],
      ...(certificates.etcdTls === undefined ? {} : { tls: certificates.etcdTls }),
      timeoutMs: 5_000,
    }),
    bindAddress: values['bind-address'],
    securePort: values['secure-port'],
    advertiseAddress: values['advertise-address'] ?? values['bind-address'],
    cert: certificates.serving.cert,
    key: certificates.serving.key,
    clientCa: certificates.clientCa,
    tokenKeys: readTokenKeys(publicKeys.map(text), signing === undefined ? undefined : text(signing)),
    tokenIssuer: values['service-account-issuer'],
    apiAudiences: values['api-audiences'].length > 0 ? values['api-audiences'] : [values['service-account-issuer']],
    serviceRange,
    nodePorts,
    kubelet: {
      cert: certificates.kubeletClient?.cert,
      key: certificates.kubeletClient?.key,
      ca: certificates.kubeletCa,
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
