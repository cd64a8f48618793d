/** Job controller: runs pods to completion; removes finished Jobs after their time to live. */
import type { JsonObject, KubeObject } from '../api/contract.ts';
import { keyOf, ReconcileLoop, resources } from '../client/index.ts';
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
import { completionIndexAnnotation, type JobPlan, planJob } from './job-plan.ts';
import { PodControl } from './pod-control.ts';
import { podFromTemplate } from './shared-plan.ts';

const workers = 5;

export function createJobController(context: ControllerContext): Controller {
  const { client, clock, informers } = context;
  const events = context.events.for('job-controller');
  const jobs = informers.informer(resources.jobs);
  const pods = informers.informer(resources.pods);
  addControllerIndex(pods);
  const pending = new PendingChanges(clock);
  const control = new PodControl(context, events, pods, pending);

  const loop = new ReconcileLoop({
    ...context,
    name: 'job',
    workers,
    keys: () => jobs.list().map(keyOf),
    reset: () => pending.clear(),
    reconcile: async (key) => {
      const job = jobs.get(key);
      if (job === undefined) return;
      if (!pending.isSettled(key)) return { requeueAfterMs: unsettledRetryMs };
      const plan = planJob(job, pods.byIndex(byController, job.metadata.uid), clock.wallMs());
      if (plan.deleteJob) {
        await deleteObject(client, resources.jobs, job, { propagationPolicy: 'Background' });
        return;
      }
      await control.create(key, job, podBodies(job, plan));
      await control.delete(key, job, plan.deletePods);
      const status = { ...plan.status, active: (plan.status['active'] ?? 0) + plan.createCount };
      const updated = await updateStatus(client, resources.jobs, job, status);
      if (updated !== job) pending.expectWritten(key, jobs, updated);
      if (plan.finished !== undefined) {
        events.record(job, plan.finished.type, plan.finished.reason, plan.finished.message);
      }
      return plan.requeueAfterMs === undefined ? {} : { requeueAfterMs: plan.requeueAfterMs };
    },
  });
  jobs.onChange((key) => loop.enqueue(key));
  onControlledChange(pods, 'Job', (key) => loop.enqueue(key));
  return { name: 'job', run: (signal) => loop.run(signal) };
}

function podBodies(job: KubeObject, plan: JobPlan): JsonObject[] {
  const body = () => podFromTemplate(job, job['spec'].template ?? {});
  if (plan.createIndexes === undefined) return Array.from({ length: plan.createCount }, body);
  return plan.createIndexes.map((index) => {
    const pod = body();
    pod['metadata'].generateName = `${job.metadata.name.slice(0, 48)}-${index}-`;
    pod['metadata'].annotations = { ...pod['metadata'].annotations, [completionIndexAnnotation]: String(index) };
    pod['metadata'].labels = { ...pod['metadata'].labels, [completionIndexAnnotation]: String(index) };
    pod['spec'].hostname ??= `${job.metadata.name}-${index}`;
    for (const container of [...(pod['spec'].initContainers ?? []), ...(pod['spec'].containers ?? [])]) {
      const name = 'JOB_COMPLETION_INDEX';
      if (!(container.env ?? []).some((each: JsonObject) => each['name'] === name)) {
        const fieldPath = `metadata.labels['${completionIndexAnnotation}']`;
        container.env = [...(container.env ?? []), { name, valueFrom: { fieldRef: { apiVersion: 'v1', fieldPath } } }];
      }
    }
    return pod;
  });
}
