/**
 * The proxy as a process of its own, in the network of the bridge: a world that is busy checking must not delay what its
 * members tell each other. Ends when who started it has gone.
 */
import { assert } from '../../src/env/assert.ts';
import { errorText } from '../../src/env/errors.ts';
import { realClock } from '../../src/env/real.ts';
import { LinkProxy } from './link-proxy.ts';
import type { ProxyAnswer, ProxyRequest } from './link-proxy-words.ts';

let proxy: LinkProxy | undefined;

async function answer(request: ProxyRequest): Promise<Omit<ProxyAnswer, 'id'>> {
  if (request.kind === 'start') {
    assert(proxy === undefined, 'the proxy is started once');
    // How chunks fall into time depends on the machine anyway: draws need no seed.
    proxy = new LinkProxy({ ...request, clock: realClock, draw: Math.random });
    await proxy.start();
    return {};
  }
  assert(proxy !== undefined, 'the proxy was started');
  switch (request.kind) {
    case 'conditions':
      proxy.setConditions(request.links);
      return {};
    case 'reset':
      return { hit: proxy.reset(request.a, request.b) };
    case 'forget':
      return { hit: proxy.forget(request.from, request.to) };
    case 'endForgotten':
      proxy.endForgotten(request.links);
      return {};
    case 'counts':
      return { counts: { ...proxy.counts } };
  }
}

process.on('message', ({ id, request }: { id: number; request: ProxyRequest }) => {
  answer(request).then(
    (result) => process.send?.({ id, ...result }),
    (error: unknown) => process.send?.({ id, error: errorText(error) }),
  );
});
process.on('disconnect', () => process.exit(0));
