/** A file in pieces, so that one of any size takes little memory. */
import type { DiskFile } from '../../env/disk.ts';

const pieceBytes = 1024 * 1024;

/** The content from the beginning to the end; closes the file however it ends. */
export async function* piecesOf(file: DiskFile): AsyncGenerator<Uint8Array> {
  try {
    for (let at = 0; ; ) {
      const piece = await file.read(at, pieceBytes);
      if (piece.length === 0) return;
      yield piece;
      at += piece.length;
    }
  } finally {
    await file.close();
  }
}
