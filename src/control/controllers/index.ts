/** All controllers, and how `--controllers` chooses among them. */
import { KeelsonError } from '../../env/errors.ts';
import type { Controller, ControllerContext } from './controller.ts';
import { createDeploymentController } from './deployment.ts';
import { createEndpointsController, createEndpointSliceController } from './endpointslice.ts';
import { createGarbageCollector } from './garbage-collector.ts';
import { createJobController } from './job.ts';
import { createNamespaceController } from './namespace.ts';
import { createNodeIpamController } from './node-ipam.ts';
import { createNodeLifecycleController, createTaintEvictionController } from './node-lifecycle.ts';
import { createPodGcController } from './pod-gc.ts';
import { createReplicaSetController } from './replicaset.ts';
import { createRootCaPublisher, createServiceAccountController } from './serviceaccount.ts';

export type { Controller, ControllerContext, ControllerSettings } from './controller.ts';

/** By the names of kube-controller-manager, without `-controller`. */
export const controllerFactories: Readonly<Record<string, (context: ControllerContext) => Controller>> = {
  deployment: createDeploymentController,
  replicaset: createReplicaSetController,
  job: createJobController,
  endpointslice: createEndpointSliceController,
  endpoints: createEndpointsController,
  'node-lifecycle': createNodeLifecycleController,
  'taint-eviction': createTaintEvictionController,
  'node-ipam': createNodeIpamController,
  namespace: createNamespaceController,
  serviceaccount: createServiceAccountController,
  'root-ca-certificate-publisher': createRootCaPublisher,
  'garbage-collector': createGarbageCollector,
  'pod-garbage-collector': createPodGcController,
};

/** `*,-job` as names. Throws KeelsonError BAD_CONTROLLERS for a name that is none. */
export function chooseControllers(wanted: readonly string[]): string[] {
  const all = Object.keys(controllerFactories);
  const chosen = new Set<string>();
  const named = wanted.map((each) => each.trim().replace(/-controller$/, ''));
  for (const each of named) {
    const name = each.replace(/^[-+]/, '');
    if (name !== '*' && !all.includes(name)) {
      const hint = `choose among *, ${all.join(', ')}, each with - before it to leave it out`;
      throw new KeelsonError(
        'BAD_CONTROLLERS',
        `--controllers names ${JSON.stringify(name)}, which is no controller; ${hint}`,
      );
    }
  }
  if (named.includes('*')) for (const name of all) chosen.add(name);
  for (const each of named) {
    if (each.startsWith('-')) chosen.delete(each.slice(1));
    else if (each !== '*') chosen.add(each.replace(/^\+/, ''));
  }
  return all.filter((name) => chosen.has(name));
}

/** Builds the chosen controllers; the result runs them all until its signal aborts, and fails when one of them fails. */
export function createControllers(
  context: ControllerContext,
  names: readonly string[],
): (signal: AbortSignal) => Promise<void> {
  const controllers = names.map((name) => {
    const factory = controllerFactories[name];
    if (factory === undefined) throw new KeelsonError('BAD_CONTROLLERS', `there is no controller ${name}`);
    return factory({ ...context, log: context.log.with({ controller: name }) });
  });
  return async (signal) => {
    await Promise.all(controllers.map((controller) => controller.run(signal)));
  };
}
