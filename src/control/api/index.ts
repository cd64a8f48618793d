/** Kubernetes kinds as data, and pure functions on them. Everything that other folders may use is exported here. */
export type * from './contract.ts';
export { apiVersionOf, gvr, resourceSchema, scheme, splitApiVersion } from './scheme.ts';
export * from './selectors.ts';
export * from './status-error.ts';
