/** What every controller gets and gives, and the small steps that most of them take. */
import type { Clock } from '../../env/clock.ts';
import type { Log } from '../../env/log.ts';
import type { Random } from '../../env/random.ts';
import type { GroupVersionResource, JsonObject, KubeObject } from '../api/contract.ts';
import {
  type ApiClient,
  type EventRecorder,
  type InformerFactory,
  isNotFound,
  keyOf,
  type SharedInformer,
} from '../client/index.ts';
import { controllerOf, isEqualJson } from './shared-plan.ts';

export interface ControllerSettings {
  readonly clusterCidr: string;
  readonly nodeCidrMaskSize: number;
  readonly rootCa: string;
  readonly nodeMonitorPeriodMs: number;
  readonly nodeMonitorGracePeriodMs: number;
  readonly nodeStartupGracePeriodMs: number;
  /** Nodes a second whose pods may be evicted, per zone. */
  readonly nodeEvictionRate: number;
  /** The same while most of a large zone is unhealthy. */
  readonly secondaryNodeEvictionRate: number;
  readonly unhealthyZoneThreshold: number;
  readonly largeClusterSizeThreshold: number;
  readonly terminatedPodGcThreshold: number;
}

export interface ControllerContext {
  readonly client: ApiClient;
  readonly informers: InformerFactory;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly events: EventRecorder;
  readonly settings: ControllerSettings;
  readonly onReconciled?: (name: string, isSuccess: boolean) => void;
}

export interface Controller {
  /** As `--controllers` names it. */
  readonly name: string;
  /** Works until `signal` aborts; may be run again later. */
  run(signal: AbortSignal): Promise<void>;
}

/** Index of objects by the uid of their controller; those nobody controls are under `orphan/<namespace>`. */
export const byController = 'controller';

export function addControllerIndex(informer: SharedInformer): void {
  informer.addIndex(byController, (object) => [
    controllerOf(object)?.uid ?? `orphan/${object.metadata.namespace ?? ''}`,
  ]);
}

/** What `owner` controls, and what nobody controls in its namespace. */
export function candidatesFor(informer: SharedInformer, owner: KubeObject): readonly KubeObject[] {
  return [
    ...informer.byIndex(byController, owner.metadata.uid),
    ...informer.byIndex(byController, `orphan/${owner.metadata.namespace ?? ''}`),
  ];
}

/** Calls `enqueue` with the key of each controller of kind `kind` that a change of `informer` concerns. */
export function onControlledChange(
  informer: SharedInformer,
  kind: string,
  enqueue: (key: string, object: KubeObject) => void,
): void {
  informer.onChange((_key, before, after) => {
    for (const object of [before, after]) {
      if (object === undefined) continue;
      const owner = controllerOf(object);
      if (owner?.kind === kind) enqueue(`${object.metadata.namespace}/${owner.name}`, object);
    }
  });
}

/** Writes `status` when it differs from what the object has. */
export async function updateStatus(
  client: ApiClient,
  resource: GroupVersionResource,
  object: KubeObject,
  status: JsonObject,
): Promise<KubeObject> {
  // The server leaves zeros and empty lists out, so those are no difference.
  if (isEqualJson(withoutEmpty(object['status'] ?? {}), withoutEmpty(status))) return object;
  return client.update(resource, { ...object, status }, { subresource: 'status' });
}

function withoutEmpty(status: JsonObject): JsonObject {
  const isEmpty = (value: unknown) => value === 0 || value === null || (Array.isArray(value) && value.length === 0);
  return Object.fromEntries(Object.entries(status).filter(([, value]) => !isEmpty(value)));
}

/** Deletes one very object; it is well when it is gone already. */
export async function deleteObject(
  client: ApiClient,
  resource: GroupVersionResource,
  object: KubeObject,
  options: Parameters<ApiClient['delete']>[3] = {},
): Promise<void> {
  const { namespace = '', name, uid } = object.metadata;
  try {
    await client.delete(resource, namespace, name, { preconditions: { uid }, ...options });
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
}

/**
 * Remembers what a controller has written until its informers show it, so that it never decides twice on the same old
 * copy. Forgets after half a minute: then the truth is what the informer says.
 */
export class PendingChanges {
  readonly #clock: Clock;
  readonly #pending = new Map<string, { readonly isSeen: () => boolean; readonly untilMs: number }[]>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  clear(): void {
    this.#pending.clear();
  }

  /** `written` is the server's answer to a create or an update. */
  expectWritten(owner: string, informer: SharedInformer, written: KubeObject): void {
    const version = BigInt(written.metadata.resourceVersion || '0');
    this.#add(owner, () => BigInt(informer.lastResourceVersion() || '0') >= version);
  }

  expectDeleted(owner: string, informer: SharedInformer, object: KubeObject): void {
    this.#add(owner, () => {
      const now = informer.get(keyOf(object));
      return now?.metadata.uid !== object.metadata.uid || now.metadata.deletionTimestamp !== undefined;
    });
  }

  isSettled(owner: string): boolean {
    const now = this.#clock.monotonicMs();
    const left = (this.#pending.get(owner) ?? []).filter((each) => each.untilMs > now && !each.isSeen());
    if (left.length === 0) this.#pending.delete(owner);
    else this.#pending.set(owner, left);
    return left.length === 0;
  }

  #add(owner: string, isSeen: () => boolean): void {
    const all = this.#pending.get(owner) ?? [];
    all.push({ isSeen, untilMs: this.#clock.monotonicMs() + 30_000 });
    this.#pending.set(owner, all);
  }
}

/** How long to wait before looking again whether the informers caught up; normally their event comes first. */
export const unsettledRetryMs = 500;

/** Runs `action` on each of `items`, `width` at a time; the first failure stops what has not started and is thrown. */
export async function inParallel<T>(
  items: readonly T[],
  width: number,
  action: (item: T) => Promise<void>,
): Promise<void> {
  let next = 0;
  let failure: { readonly error: unknown } | undefined;
  const lane = async () => {
    while (next < items.length && failure === undefined) {
      try {
        await action(items[next++] as T);
      } catch (error) {
        failure ??= { error };
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(width, items.length) }, lane));
  if (failure !== undefined) throw failure.error;
}
