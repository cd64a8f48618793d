/** Cutting a snapshot's content into pieces of one size. */

const chunkBytes = 256 * 1024;
/** Where the memory for gathering begins to grow: most states are small. */
const smallestBytes = 4096;

/**
 * The same bytes in pieces that are worth a disk operation each and fit one record; only the last one is shorter. Each is valid until the
 * next one is asked for, as those of the content need be: what is gathered is copied into the same memory every time.
 */
export async function* evenChunks(content: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let gathered = new Uint8Array(smallestBytes);
  let bytes = 0;
  for await (const chunk of content) {
    for (let from = 0; from < chunk.length; ) {
      if (bytes === 0 && chunk.length - from >= chunkBytes) {
        yield chunk.subarray(from, from + chunkBytes);
        from += chunkBytes;
        continue;
      }
      const part = chunk.subarray(from, from + chunkBytes - bytes);
      if (bytes + part.length > gathered.length) {
        const longer = new Uint8Array(Math.min(chunkBytes, 4 * (bytes + part.length)));
        longer.set(gathered.subarray(0, bytes));
        gathered = longer;
      }
      gathered.set(part, bytes);
      bytes += part.length;
      from += part.length;
      if (bytes < chunkBytes) continue;
      yield gathered;
      bytes = 0;
    }
  }
  if (bytes > 0) yield gathered.subarray(0, bytes);
}
