/** ReplicaSet controller: keeps as many pods of a template as wanted. */
import { timeFromMs } from '../api/time-text.ts';
import { keyOf, ReconcileLoop, resources } from '../client/index.ts';
import {
  addControllerIndex,
  candidatesFor,
  type Controller,
  type ControllerContext,
  onControlledChange,
  PendingChanges,
  unsettledRetryMs,
  updateStatus,
} from './controller.ts';
import { PodControl } from './pod-control.ts';
import { planReplicaSet } from './replicaset-plan.ts';
import { controllerOf, withCondition } from './shared-plan.ts';
import { errorText } from '../../env/errors.ts';

const workers = 5;

export function createReplicaSetController(context: ControllerContext): Controller {
  const { client, clock, informers } = context;
  const sets = informers.informer(resources.replicaSets);
  const pods = informers.informer(resources.pods);
  addControllerIndex(pods);
  sets.addIndex('namespace', (set) => [set.metadata.namespace ?? '']);
  const pending = new PendingChanges(clock);
  const control = new PodControl(context, context.events.for('replicaset-controller'), pods, pending);

  const loop = new ReconcileLoop({
    ...context,
    name: 'replicaset',
    workers,
    keys: () => sets.list().map(keyOf),
    reset: () => pending.clear(),
    reconcile: async (key) => {
      const set = sets.get(key);
      if (set === undefined) return;
      if (!pending.isSettled(key)) return { requeueAfterMs: unsettledRetryMs };
      const nowMs = clock.wallMs();
      const plan = planReplicaSet(set, candidatesFor(pods, set), nowMs);
      let failure: { readonly error: unknown } | undefined;
      try {
        await control.release(key, set, plan.release);
        await control.adopt(key, set, plan.adopt);
        await control.createFromTemplate(key, set, set['spec'].template ?? {}, plan.createCount);
        await control.delete(key, set, plan.deletePods);
      } catch (error) {
        failure = { error };
      }
      const conditions = (set['status']?.conditions ?? []) as { type: string }[];
      const others = conditions.filter((condition) => condition.type !== 'ReplicaFailure');
      const condition = {
        type: 'ReplicaFailure',
        status: 'True',
        reason: plan.createCount > 0 ? 'FailedCreate' : 'FailedDelete',
        message: failure === undefined ? '' : errorText(failure.error),
      };
      const wanted = failure === undefined ? others : withCondition(conditions, condition, timeFromMs(nowMs));
      const { conditions: _, ...counts } = plan.status;
      await updateStatus(client, resources.replicaSets, set, {
        ...counts,
        ...(wanted.length === 0 ? {} : { conditions: wanted }),
      });
      if (failure !== undefined) throw failure.error;
      return plan.requeueAfterMs === undefined ? {} : { requeueAfterMs: plan.requeueAfterMs };
    },
  });

  sets.onChange((key) => loop.enqueue(key));
  onControlledChange(pods, 'ReplicaSet', (key) => loop.enqueue(key));
  pods.onChange((_key, _before, after) => {
    // A pod that nobody controls may be one that a set wants to adopt.
    if (after === undefined || controllerOf(after) !== undefined || after.metadata.labels === undefined) return;
    for (const set of sets.byIndex('namespace', after.metadata.namespace ?? '')) loop.enqueue(keyOf(set));
  });
  return { name: 'replicaset', run: (signal) => loop.run(signal) };
}
