/** The client of the API server: calls, informers, queues, leader election, events, the health port. */
export * from './contract.ts';
export * from './api-error.ts';
export { createApiClient } from './http-client.ts';
export { type InformerOptions, InformerFactory, type InformerWorld } from './informer.ts';
export { type Kubeconfig, loadKubeconfig, readKubeconfig } from './kubeconfig.ts';
export * from './resources.ts';
export { type BackoffOptions, KeyQueue } from './work-queue.ts';
