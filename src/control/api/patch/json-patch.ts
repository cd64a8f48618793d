/** JSON patch (RFC 6902). Pure: the target is not changed. */
import { applyPatch, type Operation } from 'rfc6902';
import type { JsonObject } from '../contract.ts';
import { badRequest, StatusError } from '../status-error.ts';

/** Upstream's limit on the operations of one patch. */
const operationsMax = 10_000;
const knownOperations: ReadonlySet<string> = new Set(['add', 'remove', 'replace', 'move', 'copy', 'test']);

/** Throws StatusError: 400 for what is not a patch, 413 for too long a one, 422 for one that does not fit. */
export function jsonPatch(target: JsonObject, operations: readonly JsonObject[]): JsonObject {
  if (!Array.isArray(operations))
    throw badRequest('json: cannot unmarshal object into Go value of type jsonpatch.Patch');
  if (operations.length > operationsMax) {
    throw new StatusError({
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      message: `Request entity too large: The allowed maximum operations in a JSON patch is ${operationsMax}, got ${operations.length}`,
      reason: 'RequestEntityTooLarge',
      code: 413,
    });
  }
  const result = structuredClone(target);
  for (const operation of operations) applyOperation(result, operation);
  return result;
}

function applyOperation(target: JsonObject, operation: JsonObject): void {
  const { op, path } = operation;
  if (!knownOperations.has(op) || typeof path !== 'string' || (path !== '' && !path.startsWith('/'))) {
    throw unprocessable(`invalid operation ${JSON.stringify(operation)}`);
  }
  // The checks above make it an operation; a missing `from` or `value` is an error of the library below.
  const [error] = applyPatch(target, [operation as Operation]);
  if (error === null || error === undefined) return;
  if (op === 'test') throw unprocessable(`testing value ${path} failed: test failed`);
  if (op === 'remove')
    throw unprocessable(
      `error in remove for path: '${path}': Unable to remove nonexistent key: ${lastToken(path)}: missing value`,
    );
  if (op === 'replace')
    throw unprocessable(`replace operation does not apply: doc is missing key: ${path}: missing value`);
  throw unprocessable(`${op} operation does not apply: doc is missing path: "${path}": missing value`);
}

function lastToken(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

function unprocessable(why: string): StatusError {
  return new StatusError({
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message: 'the server rejected our request due to an error in our request',
    reason: 'Invalid',
    details: { causes: [{ reason: 'UnexpectedServerResponse', message: why }] },
    code: 422,
  });
}
