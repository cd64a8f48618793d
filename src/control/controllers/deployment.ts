/** Deployment controller: rolls templates out through ReplicaSets. */
import type { KubeObject } from '../api/contract.ts';
import { isAlreadyExists, keyOf, ReconcileLoop, resources } from '../client/index.ts';
import {
  addControllerIndex,
  byController,
  type Controller,
  type ControllerContext,
  deleteObject,
  onControlledChange,
  PendingChanges,
  unsettledRetryMs,
  updateStatus,
} from './controller.ts';
import { type DeploymentAction, planDeployment, revisionAnnotation, wantedOf } from './deployment-plan.ts';
import { controllerOf } from './shared-plan.ts';

const workers = 5;

export function createDeploymentController(context: ControllerContext): Controller {
  const { client, clock, informers } = context;
  const events = context.events.for('deployment-controller');
  const deployments = informers.informer(resources.deployments);
  const sets = informers.informer(resources.replicaSets);
  const pods = informers.informer(resources.pods);
  addControllerIndex(sets);
  addControllerIndex(pods);
  const pending = new PendingChanges(clock);

  const carryOut = async (key: string, deployment: KubeObject, action: DeploymentAction): Promise<void> => {
    if (action.kind === 'delete') {
      await deleteObject(client, resources.replicaSets, action.set);
      return pending.expectDeleted(key, sets, action.set);
    }
    if (action.kind === 'create') {
      const { name } = action.set['metadata'];
      try {
        const created = await client.create(resources.replicaSets, action.set);
        pending.expectWritten(key, sets, created);
        events.record(
          deployment,
          'Normal',
          'ScalingReplicaSet',
          `Scaled up replica set ${name} from 0 to ${wantedOf(created)}`,
        );
      } catch (error) {
        if (!isAlreadyExists(error)) throw error;
        const there = await client.get(resources.replicaSets, deployment.metadata.namespace ?? '', name);
        // Ours: the informer is late. Someone else's, or another template with the same hash: hash with other salt.
        if (
          controllerOf(there)?.uid === deployment.metadata.uid &&
          planDeployment({ deployment, sets: [there], pods: [], nowMs: 0 }).actions[0]?.kind !== 'create'
        ) {
          return pending.expectWritten(key, sets, there);
        }
        const collisionCount = (deployment['status']?.collisionCount ?? 0) + 1;
        await updateStatus(client, resources.deployments, deployment, { ...deployment['status'], collisionCount });
        throw error;
      }
      return;
    }
    const updated = await client.update(resources.replicaSets, action.next);
    pending.expectWritten(key, sets, updated);
    const [from, to] = [wantedOf(action.set), wantedOf(action.next)];
    if (from !== to) {
      const direction = to > from ? 'up' : 'down';
      const message = `Scaled ${direction} replica set ${action.set.metadata.name} from ${from} to ${to}`;
      events.record(deployment, 'Normal', 'ScalingReplicaSet', message);
    }
  };

  const loop = new ReconcileLoop({
    ...context,
    name: 'deployment',
    workers,
    keys: () => deployments.list().map(keyOf),
    reset: () => pending.clear(),
    reconcile: async (key) => {
      const deployment = deployments.get(key);
      if (deployment === undefined) return;
      if (!pending.isSettled(key)) return { requeueAfterMs: unsettledRetryMs };
      const owned = sets.byIndex(byController, deployment.metadata.uid);
      const plan = planDeployment({
        deployment,
        sets: owned,
        pods: owned.flatMap((set) => pods.byIndex(byController, set.metadata.uid)),
        nowMs: clock.wallMs(),
      });
      for (const action of plan.actions) await carryOut(key, deployment, action);
      let current = deployment;
      if (plan.revision !== undefined && deployment.metadata.annotations?.[revisionAnnotation] !== plan.revision) {
        const annotations = { ...deployment.metadata.annotations, [revisionAnnotation]: plan.revision };
        current = await client.update(resources.deployments, {
          ...deployment,
          metadata: { ...deployment.metadata, annotations },
        });
        pending.expectWritten(key, deployments, current);
      }
      const updated = await updateStatus(client, resources.deployments, current, {
        ...plan.status,
        observedGeneration: deployment.metadata.generation,
      });
      if (updated !== current) pending.expectWritten(key, deployments, updated);
      return plan.requeueAfterMs === undefined ? {} : { requeueAfterMs: plan.requeueAfterMs };
    },
  });

  deployments.onChange((key) => loop.enqueue(key));
  onControlledChange(sets, 'Deployment', (key) => loop.enqueue(key));
  pods.onChange((_key, before, after) => {
    // Recreate waits for the last old pod to go.
    const owner = before !== undefined && after === undefined ? controllerOf(before) : undefined;
    if (owner?.kind !== 'ReplicaSet') return;
    const set = sets.get(`${before?.metadata.namespace}/${owner.name}`);
    const deployment = set === undefined ? undefined : controllerOf(set);
    if (deployment?.kind === 'Deployment') loop.enqueue(`${before?.metadata.namespace}/${deployment.name}`);
  });
  return { name: 'deployment', run: (signal) => loop.run(signal) };
}
