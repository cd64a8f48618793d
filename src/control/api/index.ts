/** Kubernetes kinds as data, and pure functions on them. Everything that other folders may use is exported here. */
export { type CanonicalOptions, canonicalObject, UnmarshalError } from './canonical.ts';
export { decodeApplied, decodeJson, decodeObject, encodeJson, type ExpectedKind } from './codec-json.ts';
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
export { openApiV2Document, openApiV3Document, openApiV3Index } from './openapi/documents.ts';
export { openApiV2Protobuf } from './openapi/protobuf-v2.ts';
export { validateObject } from './validation/validators.ts';
export * from './validation/names.ts';
export * from './validation/field-error.ts';
export {
  type ApplyConflict,
  type ApplyRequest,
  type ApplyResult,
  conflictError,
  serverSideApply,
  type UpdateRequest,
  updateManagedFields,
} from './apply/apply.ts';
export { isEqualJson } from './equal-json.ts';
export { parseJson, JsonSyntaxError } from './json-text.ts';
export { ipVersion } from './validation/addresses.ts';
