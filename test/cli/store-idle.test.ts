/** What a member that nobody talks to does without. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { constants, PerformanceObserver } from 'node:perf_hooks';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { test } from 'node:test';
import { spareMemoryAfterStart } from '../../src/cli/spare-memory.ts';
import { FakeClock } from '../support/fake-clock.ts';

const storeModule = new URL('../../src/cli/store.ts', import.meta.url).href;

/** Loads the store as a start does, and prints every module that came with it. */
const loading = `
  import { registerHooks } from 'node:module';
  const loaded = [];
  registerHooks({ load: (url, context, next) => { loaded.push(url); return next(url, context); } });
  await import(${JSON.stringify(storeModule)});
  process.stdout.write(loaded.join('\\n'));
`;

test('a start loads no library that only a scrape, a question to others or a rare message needs', async () => {
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', '--input-type=module', '--eval', loading],
    { cwd: fileURLToPath(new URL('../..', import.meta.url)) },
  );
  const packages = new Set([...stdout.matchAll(/node_modules\/((?:@[^/]+\/)?[^/]+)\//g)].map(([, name]) => name));
  assert.ok(packages.has('msgpackr'), 'what every start needs is seen');
  for (const name of ['prom-client', '@opentelemetry/api', '@grpc/grpc-js', 'protobufjs', 'js-yaml', 'bcryptjs']) {
    assert.ok(!packages.has(name), `${name} is loaded when it is first needed`);
  }
  assert.doesNotMatch(stdout, /^node:http2$/m);
});

test('memory is given back once, some seconds after the start', async () => {
  const collected = Promise.withResolvers<void>();
  const observer = new PerformanceObserver((list) => {
    const entries = list.getEntries() as unknown as readonly { readonly detail?: { readonly kind?: number } }[];
    const major = entries.filter(({ detail }) => detail?.kind === constants.NODE_PERFORMANCE_GC_MAJOR);
    if (major.length > 0) collected.resolve();
  });
  observer.observe({ entryTypes: ['gc'] });
  const clock = new FakeClock();
  spareMemoryAfterStart(clock);
  await clock.advance(10_000);
  await collected.promise;
  observer.disconnect();
  assert.equal('gc' in globalThis, false, 'nobody else can ask for collections');
});
