/**
 * What the controller manager and the scheduler have in common: a client from a kubeconfig, shared informers, a leader
 * lease, a health and metrics port, and a clean stop. The caller owes an abort of `signal` to stop it.
 */
import { Counter, collectDefaultMetrics, Gauge, type Registry } from 'prom-client';
import type { Env } from '../../env/env.ts';
import { errorText, KeelsonError } from '../../env/errors.ts';
import type { ApiClient } from './contract.ts';
import { EventRecorder } from './event-recorder.ts';
import { startHealthServer } from './health-server.ts';
import { createApiClient } from './http-client.ts';
import { InformerFactory } from './informer.ts';
import { readKubeconfig } from './kubeconfig.ts';
import { LeaderElector } from './leader-election.ts';

export interface ComponentOptions {
  readonly env: Env;
  readonly registry: Registry;
  /** `kube-scheduler`: user agent, lease and event source. */
  readonly name: string;
  readonly hostName: string;
  readonly kubeconfig: string;
  readonly servers: readonly string[];
  readonly bindAddress: string;
  readonly securePort: number;
  readonly tlsCertFile: string;
  readonly tlsPrivateKeyFile: string;
  readonly clientCaFile?: string | undefined;
  readonly leaderElect: boolean;
  readonly leaseName: string;
  readonly leaseNamespace: string;
  readonly leaseDurationMs: number;
  readonly renewDeadlineMs: number;
  readonly retryPeriodMs: number;
  /** Registers its informers and returns what the leader runs. */
  readonly build: (parts: ComponentParts) => (signal: AbortSignal) => Promise<void>;
}

export interface ComponentParts {
  readonly client: ApiClient;
  readonly informers: InformerFactory;
  readonly events: EventRecorder;
}

async function readFile(env: Env, flag: string, path: string): Promise<Uint8Array> {
  try {
    return await env.disk.readFile(path);
  } catch (error) {
    throw new KeelsonError(
      'BAD_FILE',
      `cannot read --${flag} ${path}: ${errorText(error)}; give the path of a PEM file`,
    );
  }
}

/** Runs until `signal` aborts. Rejects with KeelsonError when it cannot start, or when the leader's work failed. */
export async function runComponent(options: ComponentOptions, signal: AbortSignal): Promise<void> {
  const { env, registry, name } = options;
  const { clock, random, log } = env;
  collectDefaultMetrics({ register: registry });
  const kubeconfig = await readKubeconfig(env.disk, options.kubeconfig, options.servers);
  const client = createApiClient({ ...kubeconfig, userAgent: `keelson-${name}`, clock });
  const informers = new InformerFactory({ client, clock, random, log });
  const events = new EventRecorder({ client, clock, random, log, component: name, host: options.hostName });
  const work = options.build({ client, informers, events });

  const isLeader = new Gauge({
    name: 'leader_election_master_status',
    help: 'Gauge of if the reporting system is master of the relevant lease, 0 indicates backup, 1 indicates master.',
    labelNames: ['name'],
    registers: [registry],
  });
  const changes = new Counter({
    name: 'keelson_leader_election_changes_total',
    help: 'How often this process began or stopped to lead.',
    labelNames: ['name'],
    registers: [registry],
  });
  isLeader.set({ name: options.leaseName }, 0);

  let stopped: unknown;
  const health = await startHealthServer({
    address: options.bindAddress,
    port: options.securePort,
    cert: await readFile(env, 'tls-cert-file', options.tlsCertFile),
    key: await readFile(env, 'tls-private-key-file', options.tlsPrivateKeyFile),
    ...(options.clientCaFile === undefined
      ? {}
      : { clientCa: await readFile(env, 'client-ca-file', options.clientCaFile) }),
    live: [{ name: 'ping', check: () => undefined }],
    ready: [
      { name: 'informer-sync', check: () => (informers.hasSynced() ? undefined : 'the first lists are not complete') },
      { name: 'running', check: () => (stopped === undefined ? undefined : errorText(stopped)) },
    ],
    metrics: registry,
  });
  log.info('serving health and metrics', { address: options.bindAddress, port: health.port });
  informers.start(signal);
  try {
    const lead = async (term: AbortSignal): Promise<void> => {
      // Work on half a copy of the cluster would be work on a wrong one.
      try {
        await informers.waitForSync(term);
      } catch (error) {
        if (term.aborted) return;
        throw error;
      }
      await work(term);
    };
    if (options.leaderElect) {
      const elector = new LeaderElector({
        client,
        clock,
        random,
        log,
        namespace: options.leaseNamespace,
        leaseName: options.leaseName,
        identity: `${options.hostName}_${random.uuid()}`,
        leaseDurationMs: options.leaseDurationMs,
        renewDeadlineMs: options.renewDeadlineMs,
        retryPeriodMs: options.retryPeriodMs,
        lead,
        onLeadingChange: (isLeading) => {
          isLeader.set({ name: options.leaseName }, isLeading ? 1 : 0);
          changes.inc({ name: options.leaseName });
        },
      });
      await elector.run(signal);
    } else await lead(signal);
  } catch (error) {
    stopped = error;
    throw error;
  } finally {
    await health.close();
    client.close();
  }
}
