/** `keelson server`: one master. Runs store, API server, controller manager and scheduler as processes of their own. */
import { masterComponents } from '../cluster/master.ts';
import { podCidr, serviceCidr } from '../cluster/plan.ts';
import { Supervisor } from '../cluster/supervisor.ts';
import { readKubeconfig } from '../control/client/index.ts';
import type { Disk } from '../env/disk.ts';
import { realEnv } from '../env/real.ts';
import { readCertificateFile, readPemFile, readServingFiles } from './certificates.ts';
import { flagHelp, parseFlags, UsageError } from './flags.ts';
import { keelsonProgram, untilStopSignal } from './runtime.ts';

const flags = {
  name: { type: 'string', required: true, help: 'name of this master; the same at every start' },
  'data-dir': { type: 'string', required: true, help: 'directory for its data, logs and kubeconfigs' },
  'pki-dir': { type: 'string', required: true, help: 'directory with its certificates and keys' },
  'advertise-address': { type: 'string', required: true, help: 'address the other masters and the nodes reach it at' },
  'initial-cluster': { type: 'list', help: 'all masters as name=address,name=address' },
  'cluster-token': { type: 'string', required: true, help: 'keeps members of different clusters apart' },
  'service-cluster-ip-range': { type: 'string', default: serviceCidr, help: 'addresses for Services' },
  'cluster-cidr': { type: 'string', default: podCidr, help: 'addresses for pods' },
  controllers: { type: 'string', default: '*', help: "controllers to run: '*' for all, -name to leave one out" },
  'node-monitor-period': { type: 'duration', default: 5_000, help: 'how often the state of nodes is checked' },
  'node-monitor-grace-period': {
    type: 'duration',
    default: 40_000,
    help: 'silence after which a node counts as not ready',
  },
  'default-toleration-seconds': {
    type: 'number',
    default: 300,
    help: 'how long pods stay on a node that is not ready',
  },
} as const;

/** The store hands its leadership over in this time; the others only close connections. */
const componentGraceMs = 8_000;

export async function run(args: readonly string[]): Promise<number> {
  if (args.includes('--help')) {
    process.stdout.write(
      flagHelp('keelson server [flags]', 'Runs a master: store, API server, controller manager and scheduler.', flags),
    );
    return 0;
  }
  const { values } = parseFlags(flags, { command: 'server', args });
  const masters = values['initial-cluster'].map((entry) => {
    const [name, address] = entry.split('=');
    if (!name || !address)
      throw new UsageError(`keelson server: --initial-cluster: ${JSON.stringify(entry)} is not name=address`);
    return { name, address };
  });
  if (!masters.some((master) => master.name === values.name && master.address === values['advertise-address'])) {
    throw new UsageError(
      `keelson server: --initial-cluster must hold ${values.name}=${values['advertise-address']}, this master itself`,
    );
  }
  const env = realEnv();
  const directory = values['data-dir'];
  await checkFiles(env.disk, values['pki-dir'], directory);
  await env.disk.makeDirectory(`${directory}/logs`);
  const supervisor = new Supervisor(env, componentGraceMs);
  const components = masterComponents({
    name: values.name,
    directory,
    pkiDirectory: values['pki-dir'],
    address: values['advertise-address'],
    masters,
    clusterToken: values['cluster-token'],
    serviceCidr: values['service-cluster-ip-range'],
    podCidr: values['cluster-cidr'],
    nodeMonitorPeriodMs: values['node-monitor-period'],
    nodeMonitorGraceMs: values['node-monitor-grace-period'],
    tolerationSeconds: values['default-toleration-seconds'],
    controllers: values.controllers,
  });
  for (const component of components) {
    supervisor.add({
      name: component.name,
      command: [keelsonProgram, ...component.args],
      logFile: `${directory}/logs/${component.name}.log`,
    });
  }
  await untilStopSignal();
  await supervisor.stop();
  return 0;
}

/** A component that cannot read its files would be started again and again, and only its log would say why. */
async function checkFiles(disk: Disk, pkiDirectory: string, directory: string): Promise<void> {
  const file = (name: string) => ({ flag: 'pki-dir', path: `${pkiDirectory}/${name}` });
  for (const name of ['ca.crt', 'store-ca.crt']) await readCertificateFile(disk, file(name));
  for (const name of servingLeaves) await readServingFiles(disk, file(`${name}.crt`), file(`${name}.key`));
  for (const name of ['sa.pub', 'sa.key']) await readPemFile(disk, file(name));
  for (const name of ['controller-manager', 'scheduler']) await readKubeconfig(disk, `${directory}/${name}.kubeconfig`);
}

const servingLeaves = [
  'store-server',
  'store-peer',
  'apiserver-store-client',
  'apiserver',
  'apiserver-kubelet-client',
  'controller-manager',
  'scheduler',
] as const;
