/** Reading a file of which the disk may have lost some sectors. */
import { type Disk, DiskError } from '../../env/disk.ts';

const unreadableByte = 0xff;
/** A page: what the system reads at least, so that one bad sector takes no more than that with it. */
const readableBytes = 4096;

/** A file's bytes; those that the disk refuses to give are filled with a value that no end of a log has. */
export async function readBytes(disk: Disk, path: string): Promise<Buffer> {
  try {
    const read = await disk.readFile(path);
    return Buffer.from(read.buffer, read.byteOffset, read.byteLength);
  } catch (error) {
    if (!(error instanceof DiskError) || error.code !== 'EIO') throw error;
  }
  const file = await disk.open(path, 'read');
  try {
    const bytes = Buffer.alloc(await file.size(), unreadableByte);
    for (let offset = 0; offset < bytes.length; offset += readableBytes) {
      try {
        bytes.set(await file.read(offset, Math.min(readableBytes, bytes.length - offset)), offset);
      } catch (error) {
        if (!(error instanceof DiskError) || error.code !== 'EIO') throw error;
      }
    }
    return bytes;
  } finally {
    await file.close();
  }
}
