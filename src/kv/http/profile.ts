/**
 * `/debug/pprof/`, with `--enable-pprof`: where the time goes and who allocates, of the running member. The paths are
 * etcd's; the files are V8's, which open in the developer tools of a browser, not in Go's pprof.
 *
 *   profile?seconds=N   samples of the processor's time over N seconds, .cpuprofile
 *   allocs?seconds=N    samples of allocations over N seconds, .heapprofile
 *   cmdline             the command line, its parts divided by zero bytes
 */
import { Session } from 'node:inspector/promises';
import type { ServerResponse } from 'node:http';
import { type Clock, sleep } from '../../env/clock.ts';
import { isMethodAllowed, sendText } from './answers.ts';
import type { PathHandler } from './handler.ts';

const secondsDefault = 30;
/** Samples lie in memory until the end. */
const secondsMax = 120;
const allocationBytesPerSample = 65_536;

const index = 'profiles: profile?seconds=N, allocs?seconds=N, cmdline\n';

export function createProfileHandler(clock: Clock): PathHandler {
  let isBusy = false;
  return async (request, response, url) => {
    if (!isMethodAllowed(request, response, ['GET', 'HEAD'])) return;
    const name = url.pathname.replace(/^\/debug\/pprof\/?/, '');
    if (name === '') return sendText(response, 200, index);
    if (name === 'cmdline') return sendText(response, 200, process.argv.join('\0'));
    if (name !== 'profile' && name !== 'allocs') return sendText(response, 404, 'Unknown profile\n');
    const seconds = Number(url.searchParams.get('seconds') ?? secondsDefault);
    if (!Number.isInteger(seconds) || seconds < 1 || seconds > secondsMax) {
      return sendText(response, 400, `seconds: want a whole number from 1 to ${secondsMax}\n`);
    }
    if (isBusy) return sendText(response, 409, 'another profile is being taken: ask again when it is done\n');
    isBusy = true;
    const gone = new AbortController();
    response.once('close', () => gone.abort());
    try {
      send(response, name, await take(name, () => sleep(clock, seconds * 1000, gone.signal)));
    } catch (error) {
      // Whoever asked went away: there is nobody to tell.
      if (!gone.signal.aborted) throw error;
    } finally {
      isBusy = false;
    }
  };
}

async function take(name: 'profile' | 'allocs', wait: () => Promise<void>): Promise<object> {
  const session = new Session();
  session.connect();
  try {
    if (name === 'profile') {
      await session.post('Profiler.enable');
      await session.post('Profiler.start');
      await wait();
      return (await session.post('Profiler.stop')).profile;
    }
    await session.post('HeapProfiler.startSampling', { samplingInterval: allocationBytesPerSample });
    await wait();
    return (await session.post('HeapProfiler.stopSampling')).profile;
  } finally {
    session.disconnect();
  }
}

function send(response: ServerResponse, name: 'profile' | 'allocs', profile: object): void {
  const file = name === 'profile' ? 'store.cpuprofile' : 'store.heapprofile';
  const headers = {
    'content-type': 'application/octet-stream',
    'content-disposition': `attachment; filename="${file}"`,
  };
  response.writeHead(200, headers);
  response.end(JSON.stringify(profile));
}
