/** Whole bodies of requests, up to a limit. */
import type { IncomingMessage } from 'node:http';

/** Undefined when it is larger than `bytesMax`; the rest is read and dropped, so that the answer arrives. */
export async function readBody(request: IncomingMessage, bytesMax: number): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length <= bytesMax) chunks.push(chunk);
    else chunks.length = 0;
  }
  return length <= bytesMax ? Buffer.concat(chunks) : undefined;
}
