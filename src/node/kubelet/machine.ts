/** Reads the machine's facts out of /proc and /sys; what is not there is left empty. */
import type { Disk } from '../../env/disk.ts';
import { DiskError } from '../../env/disk.ts';
import type { DnsConfig } from '../cri/cri.ts';
import type { HostFiles } from '../volumes/host-files.ts';
import type { MachineFacts } from './node-object.ts';

export async function readMachine(
  disk: Disk,
  files: HostFiles,
  rootDirectory: string,
  architecture: string,
): Promise<MachineFacts> {
  const text = (path: string) => readText(disk, path);
  const [cpus, memory, machineId, uuid, bootId, kernel, release, storage] = await Promise.all([
    text('/proc/cpuinfo'),
    text('/proc/meminfo'),
    text('/etc/machine-id'),
    text('/sys/class/dmi/id/product_uuid'),
    text('/proc/sys/kernel/random/boot_id'),
    text('/proc/sys/kernel/osrelease'),
    text('/etc/os-release'),
    files.fileSystem(rootDirectory),
  ]);
  const id = machineId.trim();
  return {
    cpuCount: Math.max(1, cpus.match(/^processor\s*:/gm)?.length ?? 1),
    memoryBytes: memoryField(memory, 'MemTotal'),
    memoryAvailableBytes: memoryField(memory, 'MemAvailable'),
    storageBytes: storage.totalBytes,
    storageFreeBytes: storage.freeBytes,
    machineId: id,
    systemUuid: uuid.trim() || id,
    bootId: bootId.trim(),
    kernelVersion: kernel.trim(),
    osImage: /^PRETTY_NAME="?([^"\n]*)"?$/m.exec(release)?.[1] ?? 'Linux',
    architecture,
  };
}

function memoryField(text: string, name: string): number {
  return Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text)?.[1] ?? 0) * 1024;
}

async function readText(disk: Disk, path: string): Promise<string> {
  try {
    return Buffer.from(await disk.readFile(path)).toString();
  } catch (error) {
    if (error instanceof DiskError && ['ENOENT', 'EACCES', 'EPERM', 'ENODEV'].includes(error.code)) return '';
    throw error;
  }
}

/** The node's own resolver configuration. */
export async function readHostDns(disk: Disk): Promise<DnsConfig> {
  const lines = (await readText(disk, '/etc/resolv.conf')).split('\n').map((line) => line.trim().split(/\s+/));
  const values = (keyword: string) => lines.filter((words) => words[0] === keyword).map((words) => words.slice(1));
  return {
    servers: values('nameserver').flat(),
    searches: values('search').at(-1) ?? [],
    options: values('options').flat(),
  };
}
