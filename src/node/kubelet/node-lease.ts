/**
 * The node's heartbeat: a Lease renewed every ten seconds on a path of its own (own client, no queue, no lock), so that
 * nothing else the agent waits for makes the node look dead.
 */
import type { KubeObject } from '../../control/api/contract.ts';
import { microTimeFromMs } from '../../control/api/time-text.ts';
import { type ApiClient, isConflict, isNotFound, resources } from '../../control/client/index.ts';
import { type Clock, pause } from '../../env/clock.ts';
import { errorText } from '../../env/errors.ts';
import type { Log } from '../../env/log.ts';

export interface NodeLeaseOptions {
  readonly client: ApiClient;
  readonly clock: Clock;
  readonly log: Log;
  readonly nodeName: string;
  /** Asked when the Lease is made, for its owner. */
  readonly node: () => KubeObject | undefined;
  readonly signal: AbortSignal;
  readonly onRenewed: () => void;
}

export const leaseDurationSeconds = 40;
const renewPeriodMs = 10_000;
const retryMs = 1000;
// A call that hangs must not cost more than one renewal.
const callTimeoutMs = 5000;
const namespace = 'kube-node-lease';

export async function keepNodeLease(options: NodeLeaseOptions): Promise<void> {
  const { clock, log, nodeName, signal } = options;
  let lease: KubeObject | undefined;
  while (!signal.aborted) {
    let delayMs = renewPeriodMs;
    try {
      lease = await renew(options, lease);
      options.onRenewed();
    } catch (error) {
      lease = undefined;
      if (!isConflict(error)) log.warn('node lease not renewed', { node: nodeName, error: errorText(error) });
      delayMs = retryMs;
    }
    await pause(clock, delayMs, signal);
  }
}

async function renew(options: NodeLeaseOptions, known: KubeObject | undefined): Promise<KubeObject> {
  const { client, clock, nodeName } = options;
  const renewTime = microTimeFromMs(clock.wallMs());
  const call = { timeoutMs: callTimeoutMs };
  let lease = known;
  if (lease === undefined) {
    try {
      lease = await client.get(resources.leases, namespace, nodeName, call);
    } catch (error) {
      if (!isNotFound(error)) throw error;
      return client.create(resources.leases, newLease(options, renewTime), call);
    }
  }
  const spec = { ...lease.spec, holderIdentity: nodeName, leaseDurationSeconds, renewTime };
  return client.update(resources.leases, { ...lease, spec }, call);
}

function newLease(options: NodeLeaseOptions, renewTime: string) {
  const node = options.node();
  const owner = { apiVersion: 'v1', kind: 'Node', name: options.nodeName, uid: node?.metadata.uid ?? '' };
  return {
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: {
      name: options.nodeName,
      namespace,
      ...(node === undefined ? {} : { ownerReferences: [owner] }),
    },
    spec: { holderIdentity: options.nodeName, leaseDurationSeconds, renewTime },
  };
}
