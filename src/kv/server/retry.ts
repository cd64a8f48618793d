/** How often something is tried again that waits for a leader. */
import { assert } from '../../env/assert.ts';

/** A leader is there some tens of milliseconds after an election; nobody notices that much. */
const retryEveryMinMs = 20;
/** Where elections take long, so do their requests wait, and need not be tried the more often. */
const retriesMax = 350;

/** `timeoutMs`: how long the request waits at most. */
export function retryEveryMs(timeoutMs: number): number {
  assert(timeoutMs > 0, 'a request waits for something');
  return Math.max(retryEveryMinMs, timeoutMs / retriesMax);
}
