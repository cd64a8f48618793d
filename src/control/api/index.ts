/** Kubernetes kinds as data, and pure functions on them. Everything that other folders may use is exported here. */
export { type CanonicalOptions, canonicalObject, UnmarshalError } from './canonical.ts';
export { decodeJson, decodeObject, encodeJson, type ExpectedKind } from './codec-json.ts';
export { age, formatLabels, humanDuration } from './columns/text.ts';
export type * from './contract.ts';
export * from './quantity.ts';
export { apiVersionOf, gvr, resourceSchema, scheme, splitApiVersion } from './scheme.ts';
export { fieldNamed, messageNamed } from './schema/messages.ts';
export * from './selectors.ts';
export * from './status-error.ts';
export { type IncludeObject, toPartialMetadata, toTable } from './table.ts';
export * from './time-text.ts';
export { decodeProtobuf } from './protobuf/decode.ts';
export { encodeProtobuf, encodeProtobufWatchFrame } from './protobuf/encode.ts';
export { applyDefaults } from './defaults/defaults.ts';
export { jsonPatch } from './patch/json-patch.ts';
export { mergePatch } from './patch/merge-patch.ts';
export { strategicMergePatch } from './patch/strategic-merge.ts';
export { summarizePod } from './columns/pod.ts';
