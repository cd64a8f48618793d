/**
 * What breaks a run off: Ctrl-C, and a client of ours that ended by an assertion. Either way everything is taken away in order;
 * whoever asks twice does not want to wait, and leaves it to the next run to take away what is left.
 */
import { errorText, KeelsonError } from '../../src/env/errors.ts';

/** Runs `action` with a signal that is aborted with a KeelsonError when it has to end. */
export async function interruptible<Result>(
  say: (line: string) => void,
  action: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const interrupted = new AbortController();
  const onSignal = () => {
    if (interrupted.signal.aborted) process.exit(2);
    say('interrupted: taking everything away (again to leave at once)');
    interrupted.abort(new KeelsonError('CHAOS_INTERRUPTED', 'interrupted: no verdict'));
  };
  // A client that is told what no store may say ends by an assertion, in the middle of a stream's own event.
  const onUncaught = (error: unknown) => {
    if (interrupted.signal.aborted) throw error;
    const what = `a client ended by itself: ${errorText(error)}`;
    interrupted.abort(new KeelsonError('CHAOS_CLIENT_ENDED', what, { cause: error }));
  };
  process.on('uncaughtException', onUncaught);
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  try {
    return await action(interrupted.signal);
  } finally {
    process.off('uncaughtException', onUncaught);
    process.off('SIGINT', onSignal);
    process.off('SIGTERM', onSignal);
  }
}
