/** `keelson balancer`: one local port in front of several API servers. */
import { Balancer } from '../cluster/balancer.ts';
import { realEnv } from '../env/real.ts';
import { flagHelp, parseFlags, UsageError } from './flags.ts';
import { untilStopSignal } from './runtime.ts';

const flags = {
  listen: { type: 'string', default: '127.0.0.1:6443', help: 'address and port to listen on' },
  backends: { type: 'list', help: 'API servers as host:port,host:port, in order of preference' },
} as const;

export async function run(args: readonly string[]): Promise<number> {
  if (args.includes('--help')) {
    process.stdout.write(
      flagHelp('keelson balancer [flags]', 'Forwards a local port to the first API server that can be reached.', flags),
    );
    return 0;
  }
  const { values } = parseFlags(flags, { command: 'balancer', args });
  const [host, port] = values.listen.split(':');
  if (!host || !/^\d+$/.test(port ?? ''))
    throw new UsageError(`keelson balancer: --listen ${JSON.stringify(values.listen)} is not host:port`);
  if (values.backends.length === 0) throw new UsageError('keelson balancer: --backends needs at least one host:port');
  const env = realEnv();
  const balancer = new Balancer({
    listenHost: host,
    listenPort: Number(port),
    backends: values.backends,
    clock: env.clock,
    log: env.log,
  });
  await balancer.listen();
  env.log.info('serving', { listen: values.listen, backends: values.backends });
  await untilStopSignal();
  await balancer.close();
  return 0;
}
