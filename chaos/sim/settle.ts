/**
 * The simulator's one touch of the real event loop: everything else in a world happens in simulated time. A file of its
 * own, so that the linter can keep the rest of the simulator away from timers.
 */

/** Lets every promise settle that can: the queue of microtasks is empty when a macrotask runs. */
export function settle(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
