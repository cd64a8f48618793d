/** `keelson scheduler`: places pods on nodes; of several, the one that holds the lease works. */
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import { runComponent } from '../control/client/index.ts';
import { createScheduler } from '../control/scheduler/index.ts';
import { errorText } from '../env/errors.ts';
import { realEnv } from '../env/real.ts';
import { checkComponent, logLevelOf } from './component-check.ts';
import { componentOptions, leadingFlags, servingFlags } from './component-flags.ts';
import { type FlagTable, flagHelp, parseFlags } from './flags.ts';

const flags = {
  ...servingFlags,
  'secure-port': { type: 'number', default: 10259, max: 65535, help: 'health and metrics port (HTTPS)' },
  'scheduler-name': {
    type: 'string',
    default: 'default-scheduler',
    help: 'pods with this spec.schedulerName are placed',
  },
  'leader-elect-resource-name': { type: 'string', default: 'kube-scheduler', help: 'name of the lease' },
  ...leadingFlags,
} as const satisfies FlagTable;

export async function run(args: readonly string[]): Promise<number> {
  if (args.includes('--help')) {
    process.stdout.write(flagHelp('keelson scheduler [flags]', 'Places pods on nodes.', flags));
    return 0;
  }
  const { values } = parseFlags(flags, { command: 'scheduler', args });
  const env = realEnv(logLevelOf('scheduler', values['log-level']));
  await checkComponent(env.disk, values);
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => stop.abort(new Error(`stopped by ${signal}`)));
  }
  const registry = new Registry();
  const attempts = new Counter({
    name: 'scheduler_schedule_attempts_total',
    help: 'Number of attempts to schedule pods, by the result.',
    labelNames: ['result', 'profile'],
    registers: [registry],
  });
  const duration = new Histogram({
    name: 'scheduler_scheduling_attempt_duration_seconds',
    help: 'Scheduling attempt latency in seconds (scheduling algorithm + binding)',
    labelNames: ['result', 'profile'],
    buckets: [0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.024, 2.048, 4.096],
    registers: [registry],
  });
  const profile = values['scheduler-name'];
  await runComponent(
    {
      env,
      registry,
      name: 'scheduler',
      ...componentOptions(values),
      leaseName: values['leader-elect-resource-name'],
      build: (parts) => {
        const scheduler = createScheduler({
          ...env,
          ...parts,
          events: parts.events.for('default-scheduler'),
          schedulerName: profile,
          onAttempt: (result, seconds) => {
            attempts.inc({ result, profile });
            duration.observe({ result, profile }, seconds);
          },
        });
        new Gauge({
          name: 'scheduler_pending_pods',
          help: 'Number of pending pods, by the queue type.',
          labelNames: ['queue'],
          registers: [registry],
          collect() {
            for (const [queue, length] of Object.entries(scheduler.pending())) this.set({ queue }, length);
          },
        });
        return (signal) => scheduler.run(signal);
      },
    },
    stop.signal,
  );
  env.log.info('scheduler stopped', { reason: errorText(stop.signal.reason) });
  return 0;
}
