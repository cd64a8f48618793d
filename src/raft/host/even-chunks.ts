/** Cutting a snapshot's content into pieces of about one size. */

/** Pieces are below twice this. */
const chunkBytes = 256 * 1024;

/** The same bytes in pieces that are worth a disk operation each and fit one record. */
export async function* evenChunks(content: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of content) {
    for (let from = 0; from < chunk.length; from += chunkBytes) {
      const part = chunk.subarray(from, from + chunkBytes);
      parts.push(part);
      bytes += part.length;
      if (bytes < chunkBytes) continue;
      // A piece that came whole is not copied.
      yield parts.length === 1 ? part : Buffer.concat(parts, bytes);
      parts = [];
      bytes = 0;
    }
  }
  if (bytes > 0) yield Buffer.concat(parts, bytes);
}
