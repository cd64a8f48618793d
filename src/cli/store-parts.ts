/** Parts of a store's member that flags turn on and off. */
import { type Disk, fileOver } from '../env/disk.ts';
import type { Env } from '../env/env.ts';
import { errorText } from '../env/errors.ts';
import type { Log } from '../env/log.ts';
import { createStoreGateway } from '../kv/gateway/gateway.ts';
import type { PathHandler } from '../kv/http/handler.ts';
import { createProfileHandler } from '../kv/http/profile.ts';
import { createV2Handler } from '../kv/v2/v2-handler.ts';
import type { CallCounters } from '../kv/rpc/call.ts';
import type { RpcMethod } from '../rpc/service.ts';
import type { KvServer } from '../kv/server/contract.ts';
import { etcdVersion } from '../kv/server/version.ts';
import type { StoreConfig } from './store-config.ts';

/** Flags whose values are secrets, or may hold one. */
const secretFlags: readonly string[] = ['discovery-user', 'discovery-password', 'discovery-token'];

/** What the member starts with, by the names of the flags: one line, as etcd has it. */
export function tellSettings(log: Log, { flags, dataDirectory }: StoreConfig): void {
  const told = Object.entries(flags).filter(([name, value]) => {
    const isUnset = value === '' || value === undefined || (Array.isArray(value) && value.length === 0);
    return !isUnset && !secretFlags.includes(name) && !['help', 'version'].includes(name);
  });
  log.info('starting an etcd server', {
    'etcd-version': etcdVersion,
    ...Object.fromEntries(told),
    // Whatever is asked for: etcd 3.6 knows nothing else any more.
    'v2-deprecation': 'write-only',
    'data-dir': dataDirectory,
  });
}

/** etcd's words: tools wait for them. */
export function tellServing(log: Log, url: string, traffic: string): void {
  const isSecure = url.startsWith('https:') || url.startsWith('unixs:');
  const text = isSecure
    ? 'serving client traffic securely'
    : 'serving client traffic insecurely; this is strongly discouraged!';
  log.info(text, { traffic, address: url.replace(/^\w+:\/\//, '') });
}

const megabyte = 1024 * 1024;

/** `--bootstrap-defrag-threshold-megabytes`: once, at the start, and only when it gains as much. */
export async function defragmentAtStart(
  server: Pick<KvServer, 'status' | 'defragment'>,
  log: Log,
  thresholdMegabytes: number,
): Promise<void> {
  if (thresholdMegabytes === 0) return;
  const { bytesOnDisk, bytesInUse } = server.status();
  const gainedMegabytes = Math.max(0, bytesOnDisk - bytesInUse) / megabyte;
  const fields = {
    'bootstrap-defrag-threshold-megabytes': thresholdMegabytes,
    'megabytes-to-gain': Number(gainedMegabytes.toFixed(1)),
  };
  if (gainedMegabytes < thresholdMegabytes) return log.info('Skipping defragmentation', fields);
  await server.defragment();
  log.info('defragmented', { ...fields, 'bytes-on-disk': server.status().bytesOnDisk });
}

export function pathsOf(
  flags: StoreConfig['flags'],
  server: KvServer,
  methods: readonly RpcMethod[],
): Readonly<Record<string, PathHandler>> {
  return {
    ...(flags['enable-grpc-gateway'] ? { '/v3/': createStoreGateway(server, methods) } : {}),
    ...(flags['enable-v2'] ? { '/v2/': createV2Handler(server) } : {}),
    ...(flags['enable-pprof'] ? { '/debug/pprof': createProfileHandler(server.clock) } : {}),
  };
}

/** Calls that take longer than the flag says are told, every call when the log tells everything. */
export function slowCalls(counters: CallCounters, log: Log, flags: StoreConfig['flags']): CallCounters {
  const thresholdMs = flags['warning-unary-request-duration'];
  const isEachTold = flags['log-level'] === 'debug';
  return {
    ...(counters.messages ? { messages: counters.messages } : {}),
    started: (service, method, type) => counters.started(service, method, type),
    handled: (service, method, type, code) => counters.handled(service, method, type, code),
    took: (service, method, seconds) => {
      counters.took(service, method, seconds);
      const isSlow = seconds * 1000 > thresholdMs;
      if (!isSlow && !isEachTold) return;
      const spent = `${(seconds * 1000).toFixed(3)}ms`;
      log[isSlow ? 'warn' : 'debug']('request stats', {
        'time spent': spent,
        'response type': `/${service}/${method}`,
      });
    },
  };
}

/** A service of systemd's Type=notify counts as started once it says so. Node cannot send there itself. */
export async function tellSystemd(env: Pick<Env, 'processes' | 'log'>, socket: string | undefined): Promise<void> {
  if (socket === undefined || socket === '') return;
  try {
    const { exitCode, stderr } = await env.processes.run('systemd-notify', ['--ready', `--pid=${process.pid}`], {
      timeoutMs: notifyTimeoutMs,
    });
    if (exitCode === 0) env.log.info('notified systemd of readiness');
    else env.log.warn('failed to notify systemd for readiness', { exitCode, error: stderr.trim() });
  } catch (error) {
    env.log.warn('failed to notify systemd for readiness', { error: errorText(error) });
  }
}

/** systemd takes a datagram at once or not at all. */
const notifyTimeoutMs = 5_000;

/** `--unsafe-no-fsync`: what is written is the system's to write down when it likes. */
export function unsyncedDisk(disk: Disk): Disk {
  const unsynced = async () => undefined;
  return {
    ...disk,
    syncDirectory: unsynced,
    open: async (path, mode) => fileOver(await disk.open(path, mode), { dataSync: unsynced }),
  };
}
