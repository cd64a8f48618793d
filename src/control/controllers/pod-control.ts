/** Creating, adopting, releasing and deleting pods for a controller, with the Events people look for. */
import { errorText } from '../../env/errors.ts';
import type { JsonObject, KubeObject } from '../api/contract.ts';
import {
  type EventRecorder,
  isNamespaceTerminating,
  isNotFound,
  resources,
  type SharedInformer,
} from '../client/index.ts';
import { type ControllerContext, deleteObject, inParallel, type PendingChanges } from './controller.ts';
import { ownerReferenceTo, podFromTemplate } from './shared-plan.ts';

/** Calls in flight at once for one owner. */
const callsMax = 8;

export class PodControl {
  readonly #context: ControllerContext;
  readonly #events: EventRecorder;
  readonly #pods: SharedInformer;
  readonly #pending: PendingChanges;

  constructor(context: ControllerContext, events: EventRecorder, pods: SharedInformer, pending: PendingChanges) {
    this.#context = context;
    this.#events = events;
    this.#pods = pods;
    this.#pending = pending;
  }

  /** Creates `bodies`, or `count` pods of `template`. The first failure is told in an Event and thrown. */
  async create(ownerKey: string, owner: KubeObject, bodies: readonly JsonObject[]): Promise<void> {
    const createOne = async (body: JsonObject) => {
      try {
        const pod = await this.#context.client.create(resources.pods, body);
        this.#pending.expectWritten(ownerKey, this.#pods, pod);
        this.#events.record(owner, 'Normal', 'SuccessfulCreate', `Created pod: ${pod.metadata.name}`);
      } catch (error) {
        // The namespace controller removes the owner next.
        if (isNamespaceTerminating(error)) return;
        this.#events.record(owner, 'Warning', 'FailedCreate', `Error creating: ${errorText(error)}`);
        throw error;
      }
    };
    // The first alone: when the server refuses this template it would refuse all of them.
    const [first, ...rest] = bodies;
    if (first !== undefined) await createOne(first);
    await inParallel(rest, callsMax, createOne);
  }

  createFromTemplate(ownerKey: string, owner: KubeObject, template: JsonObject, count: number): Promise<void> {
    return this.create(
      ownerKey,
      owner,
      Array.from({ length: count }, () => podFromTemplate(owner, template)),
    );
  }

  async delete(ownerKey: string, owner: KubeObject, pods: readonly KubeObject[]): Promise<void> {
    await inParallel(pods, callsMax, async (pod) => {
      await deleteObject(this.#context.client, resources.pods, pod);
      this.#pending.expectDeleted(ownerKey, this.#pods, pod);
      this.#events.record(owner, 'Normal', 'SuccessfulDelete', `Deleted pod: ${pod.metadata.name}`);
    });
  }

  /** Makes `owner` the controller of pods that have none. */
  async adopt(ownerKey: string, owner: KubeObject, pods: readonly KubeObject[]): Promise<void> {
    await this.#setOwners(ownerKey, pods, (pod) => [...(pod.metadata.ownerReferences ?? []), ownerReferenceTo(owner)]);
  }

  /** Lets go of pods that do not match any more. */
  async release(ownerKey: string, owner: KubeObject, pods: readonly KubeObject[]): Promise<void> {
    await this.#setOwners(ownerKey, pods, (pod) =>
      (pod.metadata.ownerReferences ?? []).filter((reference) => reference.uid !== owner.metadata.uid),
    );
  }

  async #setOwners(
    ownerKey: string,
    pods: readonly KubeObject[],
    owners: (pod: KubeObject) => readonly JsonObject[],
  ): Promise<void> {
    await inParallel(pods, callsMax, async (pod) => {
      const { namespace = '', name, uid, resourceVersion } = pod.metadata;
      const body = { metadata: { uid, resourceVersion, ownerReferences: owners(pod) } };
      try {
        const patched = await this.#context.client.patch(resources.pods, namespace, name, { type: 'merge', body });
        this.#pending.expectWritten(ownerKey, this.#pods, patched);
      } catch (error) {
        if (!isNotFound(error)) throw error;
      }
    });
  }
}
