/** `keelson store`: one member of the replicated store, started as etcd is. */
import type { Env } from '../env/env.ts';
import { errorText } from '../env/errors.ts';
import { realDisk, realEnv, realNames } from '../env/real.ts';
import { openLevelBackend } from '../kv/backend/level.ts';
import { createHttpHandler, type HttpHandler } from '../kv/http/handler.ts';
import { type HttpFace, startHttpFace } from '../kv/http/listen.ts';
import { createStoreMetrics } from '../kv/rpc/metrics.ts';
import { StoreRegistry } from '../kv/rpc/store-registry.ts';
import { timedDisk } from '../kv/rpc/timed-disk.ts';
import { concurrentStreamsDefault, type RpcServer } from '../rpc/rpc-server.ts';
import { serveStore } from '../kv/rpc/serve-store.ts';
import type { ServerTls } from '../rpc/tls/server-tls.ts';
import { withWitnesses } from '../kv/server/cluster-config.ts';
import type { KvServer } from '../kv/server/contract.ts';
import { abandonIdentity } from '../kv/server/data-directory.ts';
import { type GoneBecause, startMember } from '../kv/server/member.ts';
import { etcdVersion } from '../kv/server/version.ts';
import { flagHelp } from './flags.ts';
import { checkPorts, portsOf } from './listen-check.ts';
import { spareMemoryAfterStart } from './spare-memory.ts';
import { openAuth } from './store-auth.ts';
import { parseStoreFlags } from './store-arguments.ts';
import { openClients } from './store-clients.ts';
import { readStoreConfig, type StoreConfig } from './store-config.ts';
import { storeFlags } from './store-flags.ts';
import { openStoreLog, type StoreLog } from './store-log.ts';
import { foundersOf } from './store-founders.ts';
import {
  defragmentAtStart,
  pathsOf,
  slowCalls,
  tellServing,
  tellSettings,
  tellSystemd,
  unsyncedDisk,
} from './store-parts.ts';
import { connectPeers } from './store-peers.ts';
import { openSideTls, type SideTls } from './store-tls.ts';
import { runSubcommand, subcommandHelp } from './store-subcommands.ts';
import packageJson from '../../package.json' with { type: 'json' };

const summary = `Runs one member of the replicated store. Flags and ETCD_… variables are etcd’s.`;

const listenFlags = [
  'listen-client-urls',
  'listen-client-http-urls',
  'listen-peer-urls',
  'listen-metrics-urls',
] as const;

export async function run(args: readonly string[]): Promise<number> {
  const code = await runSubcommand(args);
  if (code !== undefined) return code;
  const parsed = await parseStoreFlags(realDisk, args, process.env);
  if (parsed.flags.help) {
    process.stdout.write(flagHelp('keelson store [flags]', summary, storeFlags) + subcommandHelp());
    return 0;
  }
  if (parsed.flags.version) {
    process.stdout.write(
      `etcd Version: ${etcdVersion}\nKeelson Version: ${packageJson.version}\nNode Version: ${process.version}\nOS/Arch: ${process.platform}/${process.arch}\n`,
    );
    return 0;
  }
  const config = await readStoreConfig(realDisk, parsed);
  const { log, setLevel } = openStoreLog(config.flags);
  const env: Env = { ...realEnv(), log };
  if (!config.flags['socket-reuse-port'])
    await checkPorts(listenFlags.flatMap((flag) => portsOf(flag, config.flags[flag])));
  for (const notice of config.notices) env.log[notice.level](notice.message, notice.fields);
  for (;;) {
    const end = await serve(env, config, setLevel);
    if (end !== 'rejoin') return end;
    await abandonIdentity(env.disk, config.dataDirectory);
    env.log.warn('what this member held was set aside; it comes back as a new member', {
      directory: config.dataDirectory,
    });
  }
}

/** Said once, as the last word of a member that the others do not know any more. */
const goneTexts: Readonly<Record<GoneBecause, string>> = {
  removed:
    'the member has been permanently removed from the cluster; its data directory must be removed, or start with --rejoin to come back as a new member',
  succeeded:
    'the cluster of this member lost its quorum and was recovered without it, as another cluster; remove its data directory, or start with --rejoin to come back as a new member',
  otherKey:
    'the id of this member belongs to another data directory, so this one was wiped and has lost its votes; give the old directory, or start with --rejoin to come back as a new member',
};

/** Until it is asked to stop. `rejoin`: it is to be started again as a new member. */
async function serve(env: Env, config: StoreConfig, setLogLevel: StoreLog['setLevel']): Promise<number | 'rejoin'> {
  const { flags } = config;
  const { log, clock } = env;
  const clientTls = config.clientTls && (await openClientSide(env, config, config.clientTls));
  const registry = new StoreRegistry(clock);
  const metrics = createStoreMetrics(registry, () => clock.monotonicMs());
  const commitTimer = { nowMs: () => clock.monotonicMs(), observeSeconds: metrics.backendCommitSeconds };
  const disk = timedDisk(flags['unsafe-no-fsync'] ? unsyncedDisk(env.disk) : env.disk, clock, metrics.disk);
  const stopAsked = Promise.withResolvers<string>();
  let goneBecause: GoneBecause | undefined;
  let isStarted = false;
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      stopAsked.resolve(signal);
      if (isStarted) return;
      // Nobody waits for an answer yet, and the directory is whole at any moment.
      log.info('stopped before it was started', { reason: signal });
      process.exit(0);
    });
  }
  const onFatal = (error: Error) => {
    log.error('the member cannot go on', { error: error.stack ?? errorText(error) });
    // State and log may disagree from here on: nothing more may be answered or written.
    process.exit(1);
  };
  const auth = await openAuth(env, flags);
  const peers = await connectPeers(env, config, realNames, metrics.traffic);
  const initialCluster = withWitnesses(
    await foundersOf(env, config, realNames),
    flags['initial-cluster-state'] === 'existing' ? [] : flags['initial-cluster-witnesses'],
  );
  let rpc: RpcServer | undefined;
  let kvServer: KvServer | undefined;
  let clientHandler: HttpHandler | undefined;
  const faces: HttpFace[] = [];
  const httpOptions = {
    log,
    registry,
    scrapes: metrics.scrapes,
    access: { corsOrigins: flags.cors, hostWhitelist: flags['host-whitelist'] },
    server: () => kvServer,
    setLogLevel,
    onFatal,
  };
  const httpUrls = flags['listen-client-http-urls'];
  const listen = { disk: env.disk, reusePort: flags['socket-reuse-port'], ...(clientTls ? { tls: clientTls } : {}) };
  const member = await startMember({
    env: { ...env, disk },
    directory: config.dataDirectory,
    ...(config.walDirectory === undefined ? {} : { logDirectory: config.walDirectory }),
    slowApplyMs: flags['warning-apply-duration'],
    name: flags.name,
    clientUrls: flags['advertise-client-urls'],
    peerUrls: flags['initial-advertise-peer-urls'],
    initialCluster,
    token: flags['initial-cluster-token'],
    state: flags['initial-cluster-state'] === 'existing' ? 'existing' : 'new',
    join: (urls) => peers.join(urls),
    askToJoin: async (urls, request) => (await openClients()).askToJoin({ clock, tls: peers.tls() }, urls, request),
    tellMove: async (urls, move) => (await openClients()).tellMove({ clock, tls: peers.tls() }, urls, move),
    limits: {
      requestBytesMax: flags['max-request-bytes'],
      txnOpsMax: flags['max-txn-ops'],
      learnersMax: flags['max-learners'],
      quotaBytes: config.quotaBytes,
    },
    compaction: config.compaction,
    cleaning: { writesMax: flags['compaction-batch-limit'], pauseMs: flags['compaction-sleep-interval'] },
    isStrictReconfiguration: flags['strict-reconfig-check'],
    tickMs: flags['heartbeat-interval'],
    electionTicks: config.electionTicks,
    preVote: flags['pre-vote'],
    snapshotEntries: flags['snapshot-count'],
    catchUpEntries: flags['snapshot-catchup-entries'],
    acceptLoss: flags['accept-loss'],
    rejoin: flags.rejoin,
    isWitness: flags.witness,
    forceNewCluster: flags['force-new-cluster'],
    ...(flags.autopilot ? { autopilot: { deadServerAfterMs: flags['autopilot-dead-server-after'] } } : {}),
    openBackend: (path) => openLevelBackend(path, { onFatal, log, disk: env.disk, commitTimer }),
    makeTransport: (identity) => peers.open(identity, () => kvServer),
    corruption: {
      checks: config.corruption,
      askHash: async (urls, question) => (await openClients()).askHash({ clock, tls: peers.tls() }, urls, question),
    },
    proxy: peers.proxy,
    auth,
    onServer: async (server) => {
      kvServer = server;
      // Not before: a start that is refused says why, and nothing else.
      tellSettings(log, config);
      await server.checkAtStart();
      const pingIntervalMinMs = flags['grpc-keepalive-min-time'];
      rpc = await serveStore(server, {
        log,
        counters: slowCalls(metrics.calls, log, flags),
        onFatal,
        watchProgressEveryMs: flags['watch-progress-notify-interval'],
        http: (made, methods) => {
          const handler = createHttpHandler({ ...httpOptions, paths: pathsOf(flags, made, methods) });
          clientHandler = handler;
          return httpUrls.length === 0 ? handler : undefined;
        },
        rpc: {
          listenUrls: flags['listen-client-urls'],
          listen,
          concurrentStreamsMax: Math.min(flags['max-concurrent-streams'], concurrentStreamsDefault),
          keepaliveIntervalMs: flags['grpc-keepalive-interval'],
          keepaliveTimeoutMs: flags['grpc-keepalive-timeout'],
          ...(pingIntervalMinMs > 0 ? { pingIntervalMinMs } : {}),
        },
      });
      faces.push(
        await startHttpFace(
          { clock, log, urls: flags['listen-metrics-urls'], ...listen },
          createHttpHandler(httpOptions),
        ),
      );
      if (clientHandler) faces.push(await startHttpFace({ clock, log, urls: httpUrls, ...listen }, clientHandler));
    },
    onRemoved: (because) => {
      log.error(goneTexts[because]);
      goneBecause = because;
      stopAsked.resolve(because);
    },
    onFatal,
  });
  isStarted = true;
  metrics.attach(member.server);
  // Before it says that it is ready: what waits for that word then finds it as fast as it will be.
  await defragmentAtStart(member.server, log, flags['bootstrap-defrag-threshold-megabytes']);
  const ready = member.server.publish().then(() => {
    log.info('ready to serve client requests');
    const traffic = httpUrls.length === 0 ? 'grpc+http' : 'grpc';
    for (const url of rpc?.urls ?? []) tellServing(log, url, traffic);
    for (const url of faces[1]?.urls ?? []) tellServing(log, url, 'http');
    return tellSystemd(env, process.env['NOTIFY_SOCKET']);
  });
  // Asked to stop before it was ready, publishing ends with an error that nobody needs.
  ready.catch((error: unknown) => log.debug('not published', { error: errorText(error) }));
  const cancelSparing = spareMemoryAfterStart(clock);
  const reason = await stopAsked.promise;
  log.info('stopping', { reason });
  cancelSparing();
  // Whoever watches from another member's point of view sees a new leader before this port closes.
  await member.server.handLeadershipOn();
  await rpc?.close();
  await member.stop();
  for (const face of faces) await face.close();
  clientTls?.close();
  peers.close();
  log.info('stopped');
  if (goneBecause === undefined) return 0;
  return flags.rejoin && reason === goneBecause ? 'rejoin' : 1;
}

function openClientSide(env: Env, { flags, tlsLimits }: StoreConfig, side: SideTls): Promise<ServerTls> {
  return openSideTls(env, side, {
    limits: tlsLimits,
    names: realNames,
    validYears: flags['self-signed-cert-validity'],
    urls: [...flags['listen-client-urls'], ...flags['advertise-client-urls']],
  });
}
