/** `keelson controller-manager`: all controllers in one process; of several, the one that holds the lease works. */
import { Counter, Registry } from 'prom-client';
import { runComponent } from '../control/client/index.ts';
import { chooseControllers, createControllers } from '../control/controllers/index.ts';
import { errorText } from '../env/errors.ts';
import { realEnv } from '../env/real.ts';
import { readCertificateFile } from './certificates.ts';
import { checkComponent, logLevelOf } from './component-check.ts';
import { componentOptions, leadingFlags, servingFlags } from './component-flags.ts';
import { type FlagTable, flagHelp, parseFlags, UsageError } from './flags.ts';

const flags = {
  ...servingFlags,
  'secure-port': { type: 'number', default: 10257, max: 65535, help: 'health and metrics port (HTTPS)' },
  controllers: { type: 'list', default: ['*'], help: 'controllers to run: *, names, -name to leave one out' },
  'cluster-cidr': { type: 'string', default: '10.244.0.0/16', help: 'addresses of pods' },
  'node-cidr-mask-size': { type: 'number', default: 24, min: 8, max: 30, help: 'size of the range each node gets' },
  'service-cluster-ip-range': { type: 'string', default: '10.96.0.0/16', help: 'addresses of Services' },
  'root-ca-file': { type: 'string', help: 'authority that pods verify the API server with' },
  'node-monitor-period': { type: 'duration', default: 5000, help: 'how often nodes are looked at' },
  'node-monitor-grace-period': { type: 'duration', default: 40_000, help: 'silence after which a node is not ready' },
  'node-startup-grace-period': { type: 'duration', default: 60_000, help: 'the same for a node that just registered' },
  'node-eviction-rate': {
    type: 'string',
    default: '0.1',
    help: 'lost nodes per second whose pods are evicted, per zone',
  },
  'secondary-node-eviction-rate': {
    type: 'string',
    default: '0.01',
    help: 'the same in a large zone that is mostly lost',
  },
  'unhealthy-zone-threshold': {
    type: 'string',
    default: '0.55',
    help: 'share of lost nodes that makes a zone unhealthy',
  },
  'large-cluster-size-threshold': { type: 'number', default: 50, help: 'nodes above which a zone is large' },
  'terminated-pod-gc-threshold': { type: 'number', default: 12_500, help: 'finished pods that are kept' },
  ...leadingFlags,
} as const satisfies FlagTable;

function share(name: string, text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !(value >= 0)) {
    throw new UsageError(
      `keelson controller-manager: invalid value ${JSON.stringify(text)} for flag --${name}: want a number`,
    );
  }
  return value;
}

export async function run(args: readonly string[]): Promise<number> {
  if (args.includes('--help')) {
    process.stdout.write(flagHelp('keelson controller-manager [flags]', 'Runs the controllers.', flags));
    return 0;
  }
  const { values } = parseFlags(flags, { command: 'controller-manager', args });
  const env = realEnv(logLevelOf('controller-manager', values['log-level']));
  await checkComponent(env.disk, values);
  const names = chooseControllers(values.controllers);
  const rootCaFile = values['root-ca-file'];
  const rootCa =
    rootCaFile === undefined
      ? ''
      : Buffer.from(await readCertificateFile(env.disk, { flag: 'root-ca-file', path: rootCaFile })).toString();
  const settings = {
    clusterCidr: values['cluster-cidr'],
    nodeCidrMaskSize: values['node-cidr-mask-size'],
    rootCa,
    nodeMonitorPeriodMs: values['node-monitor-period'],
    nodeMonitorGracePeriodMs: values['node-monitor-grace-period'],
    nodeStartupGracePeriodMs: values['node-startup-grace-period'],
    nodeEvictionRate: share('node-eviction-rate', values['node-eviction-rate']),
    secondaryNodeEvictionRate: share('secondary-node-eviction-rate', values['secondary-node-eviction-rate']),
    unhealthyZoneThreshold: share('unhealthy-zone-threshold', values['unhealthy-zone-threshold']),
    largeClusterSizeThreshold: values['large-cluster-size-threshold'],
    terminatedPodGcThreshold: values['terminated-pod-gc-threshold'],
  };
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => stop.abort(new Error(`stopped by ${signal}`)));
  }
  const registry = new Registry();
  const reconciles = new Counter({
    name: 'keelson_controller_reconcile_total',
    help: 'Reconciled keys by controller and result.',
    labelNames: ['controller', 'result'],
    registers: [registry],
  });
  await runComponent(
    {
      env,
      registry,
      name: 'controller-manager',
      ...componentOptions(values),
      leaseName: 'kube-controller-manager',
      build: (parts) =>
        createControllers(
          {
            ...env,
            ...parts,
            settings,
            onReconciled: (controller, isSuccess) =>
              reconciles.inc({ controller, result: isSuccess ? 'success' : 'error' }),
          },
          names,
        ),
    },
    stop.signal,
  );
  env.log.info('controller manager stopped', { reason: errorText(stop.signal.reason) });
  return 0;
}
