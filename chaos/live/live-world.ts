/**
 * Makes live worlds (contract.ts): finds a free network, makes certificates, starts the proxy and the members, and hands
 * out the world once every member is ready. Whatever fails on the way is taken away again.
 */
import { tmpdir } from 'node:os';
import { ensureAuthority, issueLeaf } from '../../src/cluster/pki.ts';
import { chooseSubnet } from '../../src/cluster/network.ts';
import { keelsonProgram } from '../../src/cli/runtime.ts';
import { sleep } from '../../src/env/clock.ts';
import type { Env } from '../../src/env/env.ts';
import { KeelsonError } from '../../src/env/errors.ts';
import { writeFileAtomic } from '../../src/env/files.ts';
import { realEnv } from '../../src/env/real.ts';
import type { LiveWorldOptions } from './contract.ts';
import { makeLan } from './lan.ts';
import { dismantle, writeOwner } from './leftovers.ts';
import { LinkProxyClient } from './link-proxy-client.ts';
import { requireMachine } from './machine.ts';
import { diskPrograms, MemberDisk } from './member-disk.ts';
import { recordProcess } from './process-records.ts';
import { World } from './world.ts';
import {
  clientPort,
  hostInterface,
  membersMax,
  peerPort,
  type PlannedMember,
  planWorld,
  worldDirectory,
  type WorldPlan,
} from './world-plan.ts';

export { removeLeftovers } from './leftovers.ts';
export { ownClockFaults, ownDiskFaults, supportedFaults, unsupportedReason } from './supported-faults.ts';

/** Rejects with KeelsonError: `CHAOS_MACHINE_UNFIT` says what the machine lacks, `CHAOS_NOT_READY` which member is not ready. */
export async function createLiveWorld(options: LiveWorldOptions): Promise<World> {
  checkOptions(options);
  const env = realEnv('error');
  await requireMachine(env, process.getuid?.(), options.hasOwnDisks === true ? diskPrograms : []);
  const id = Buffer.from(env.random.bytes(3)).toString('hex');
  const directory = worldDirectory(tmpdir(), id);
  await env.disk.makeDirectory(directory);
  await writeOwner(env, directory);
  let world: World | undefined;
  try {
    const plan = await makeNetwork(env, { id, directory, members: options.members });
    const tls = options.isTls ? await makeCertificates(env, plan) : undefined;
    const proxy = await LinkProxyClient.start(plan, (pid) => recordProcess(env, directory, 'proxy', pid));
    for (const member of plan.members) await env.disk.makeDirectory(member.directory);
    const disks = options.hasOwnDisks === true ? await makeDisks(env, plan) : undefined;
    const commandOf = commandsOf(plan, options);
    const hasOwnClocks = options.hasOwnClocks === true;
    world = new World({ env, plan, program: options.program, proxy, tls, disks, hasOwnClocks, commandOf });
    await world.begin();
    return world;
  } catch (error) {
    await (world?.close() ?? dismantle(env, id, directory));
    throw error;
  }
}

function checkOptions({ members, program, hasOwnClocks }: LiveWorldOptions): void {
  if (!Number.isInteger(members) || members < 1 || members > membersMax) {
    throw new KeelsonError(
      'CHAOS_BAD_OPTIONS',
      `make a live world: ${members} members: want a number from 1 to ${membersMax}`,
    );
  }
  if (program.kind === 'other' && !program.path.startsWith('/')) {
    throw new KeelsonError(
      'CHAOS_BAD_OPTIONS',
      `make a live world: the program ${JSON.stringify(program.path)}: want the whole path, such as /usr/bin/etcd`,
    );
  }
  if (program.kind === 'other' && hasOwnClocks === true) {
    throw new KeelsonError(
      'CHAOS_BAD_OPTIONS',
      `make a live world: clocks of their own for members of ${program.path}: only those of our own store can be set`,
    );
  }
}

/** How long another world may take to make its network. */
const lockTimeoutMs = 30_000;

/** One at a time on this machine, so that no two worlds choose the same addresses. */
async function makeNetwork(
  env: Env,
  options: { readonly id: string; readonly directory: string; readonly members: number },
): Promise<WorldPlan> {
  const endMs = env.clock.monotonicMs() + lockTimeoutMs;
  const path = `${tmpdir()}/keelson-chaos.lock`;
  for (;;) {
    const lock = await env.disk.lock(path).catch((error: unknown) => {
      if ((error as { readonly code?: string }).code === 'EBUSY' && env.clock.monotonicMs() < endMs) return undefined;
      throw error;
    });
    if (lock === undefined) {
      await sleep(env.clock, 50);
      continue;
    }
    try {
      const plan = planWorld({ ...options, subnet: await chooseSubnet(env) });
      await makeLan(env, plan);
      return plan;
    } finally {
      await lock.release();
    }
  }
}

async function makeDisks(env: Env, plan: WorldPlan): Promise<readonly MemberDisk[]> {
  const disks = plan.members.map(({ directory }) => new MemberDisk(env, directory));
  for (const disk of disks) await disk.make();
  return disks;
}

interface Certificates {
  readonly ca: Uint8Array;
  readonly cert: Uint8Array;
  readonly key: Uint8Array;
}

/** One certificate for all members, with every address that any of them has; one for clients. */
async function makeCertificates(env: Env, plan: WorldPlan): Promise<Certificates> {
  const directory = `${plan.directory}/pki`;
  const authority = await ensureAuthority(env, directory, 'ca', `live world ${plan.id}`);
  const hosts = plan.members.flatMap(({ address, face }) => [address, face]);
  const member = await issueLeaf(env, authority, { commonName: 'member', hosts, usages: ['server', 'client'] });
  await writeFileAtomic(env.disk, `${directory}/member.key`, member.keyPem);
  await writeFileAtomic(env.disk, `${directory}/member.crt`, member.certificatePem);
  const client = await issueLeaf(env, authority, { commonName: 'root', usages: ['client'] });
  const bytes = (text: string) => new TextEncoder().encode(text);
  return { ca: bytes(authority.certificatePem), cert: bytes(client.certificatePem), key: bytes(client.keyPem) };
}

function commandsOf(plan: WorldPlan, options: LiveWorldOptions): (member: PlannedMember) => readonly string[] {
  const scheme = options.isTls ? 'https' : 'http';
  const pki = `${plan.directory}/pki`;
  const founders = plan.members.map(({ name, face }) => `${name}=${scheme}://${face}:${peerPort}`).join(',');
  const program = options.program.kind === 'keelson' ? [keelsonProgram, 'store'] : [options.program.path];
  const tlsFlags = ['', 'peer-'].flatMap((side) => [
    `--${side}cert-file=${pki}/member.crt`,
    `--${side}key-file=${pki}/member.key`,
    `--${side}trusted-ca-file=${pki}/ca.crt`,
    `--${side}client-cert-auth`,
  ]);
  return ({ name, address, face, directory }) => [
    ...program,
    `--name=${name}`,
    `--data-dir=${directory}/data`,
    `--listen-client-urls=${scheme}://${address}:${clientPort}`,
    `--advertise-client-urls=${scheme}://${address}:${clientPort}`,
    `--listen-peer-urls=${scheme}://${address}:${peerPort}`,
    `--initial-advertise-peer-urls=${scheme}://${face}:${peerPort}`,
    `--initial-cluster=${founders}`,
    `--initial-cluster-token=${hostInterface(plan.id)}`,
    '--initial-cluster-state=new',
    ...(options.isTls ? tlsFlags : []),
    ...options.flags,
  ];
}
