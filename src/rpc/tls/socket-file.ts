/** Socket files: which of them a process that has ended left behind. */
import { connect } from 'node:net';
import { type Disk, DiskError } from '../../env/disk.ts';

/** Whether a socket file has no process behind it. What is no socket is never taken for one. */
export async function isLeftSocket(disk: Pick<Disk, 'readFile'>, path: string): Promise<boolean> {
  try {
    await disk.readFile(path);
    return false;
  } catch (error) {
    if (!(error instanceof DiskError) || error.code !== 'ENXIO') return false;
  }
  return new Promise((resolve) => {
    const probe = connect({ path });
    probe.once('connect', () => {
      probe.destroy();
      resolve(false);
    });
    probe.once('error', (error: NodeJS.ErrnoException) => resolve(error.code === 'ECONNREFUSED'));
  });
}
