/** The client of the API server: calls, informers, queues, leader election, events, the health port. */
export * from './contract.ts';
export * from './api-error.ts';
export { createApiClient } from './http-client.ts';
export { type InformerOptions, InformerFactory, type InformerWorld, type SharedInformer } from './informer.ts';
export { type Kubeconfig, loadKubeconfig, readKubeconfig } from './kubeconfig.ts';
export * from './resources.ts';
export { type BackoffOptions, KeyQueue } from './work-queue.ts';
export { ReconcileLoop, type ReconcileLoopOptions, type ReconcileResult } from './controller-runner.ts';
export { EventRecorder, type EventRecorderOptions, type EventSubject } from './event-recorder.ts';
export {
  type HealthCheck,
  type HealthServerOptions,
  type ListeningServer,
  listenOn,
  startHealthServer,
} from './health-server.ts';
export {
  LeaderElector,
  type LeaderElectionOptions,
  leaderElectionDefaults,
} from './leader-election.ts';
export { type ComponentOptions, type ComponentParts, runComponent } from './component.ts';
