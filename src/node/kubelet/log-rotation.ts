/**
 * Keeps container logs small: a log above ten megabytes is renamed, the runtime opens a new one, and the fifth oldest
 * goes. Readers that follow see the name change and go on in the new file.
 */
import { type Clock, pause } from '../../env/clock.ts';
import { type Disk, DiskError } from '../../env/disk.ts';
import { errorText } from '../../env/errors.ts';
import type { Log } from '../../env/log.ts';
import type { Cri } from '../cri/cri.ts';
import { labels } from './container-config.ts';

const logBytesMax = 10 * 2 ** 20;
// The one being written and four before it.
const filesMax = 5;
const periodMs = 10_000;

export interface LogRotationWorld {
  readonly cri: Cri;
  readonly disk: Disk;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
}

export async function rotateLogs(world: LogRotationWorld): Promise<void> {
  const { clock, signal, log } = world;
  while (!signal.aborted) {
    await pause(clock, periodMs, signal);
    if (signal.aborted) return;
    try {
      await rotateAll(world);
    } catch (error) {
      log.warn('container logs not rotated', { error: errorText(error) });
    }
  }
}

async function rotateAll(world: LogRotationWorld): Promise<void> {
  const containers = await world.cri.listContainers();
  for (const container of containers) {
    if (container.state !== 'running' || container.labels[labels.podUid] === undefined) continue;
    const status = await world.cri.containerStatus(container.id);
    if (status === undefined || status.logPath === '') continue;
    if ((await sizeOf(world.disk, status.logPath)) > logBytesMax) await rotate(world, status.id, status.logPath);
  }
}

async function sizeOf(disk: Disk, path: string): Promise<number> {
  try {
    const file = await disk.open(path, 'open');
    try {
      return await file.size();
    } finally {
      await file.close();
    }
  } catch (error) {
    if (error instanceof DiskError && error.code === 'ENOENT') return 0;
    throw error;
  }
}

async function rotate(world: LogRotationWorld, containerId: string, path: string): Promise<void> {
  const { disk, cri, clock } = world;
  const slash = path.lastIndexOf('/');
  const [directory, name] = [path.slice(0, slash), path.slice(slash + 1)];
  const old = (await disk.list(directory)).filter((each) => each.startsWith(`${name}.`));
  // Names end in the time, so the oldest come first.
  for (const each of old.slice(0, Math.max(0, old.length - (filesMax - 2)))) await disk.remove(`${directory}/${each}`);
  const stamp = new Date(clock.wallMs()).toISOString().replace(/[-:]/g, '').replace('T', '-').slice(0, 15);
  await disk.rename(path, `${path}.${stamp}`);
  await cri.reopenContainerLog(containerId);
}
