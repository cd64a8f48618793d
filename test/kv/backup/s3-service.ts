/** A bucket in memory over HTTP: what the backups need of S3, two names to a page of a listing. Signatures are not verified. */
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface S3Service {
  readonly endpoint: string;
  /** By key, with the bucket before it. */
  readonly objects: Map<string, Buffer>;
  /** Uploads in parts that were neither completed nor taken back. */
  readonly uploads: Map<string, Map<number, Buffer>>;
  /** Answers of the next requests, instead of what they ask for. */
  readonly refusals: number[];
  close(): Promise<void>;
}

const pageNames = 2;

export async function startS3Service(): Promise<S3Service> {
  const objects = new Map<string, Buffer>();
  const uploads = new Map<string, Map<number, Buffer>>();
  const refusals: number[] = [];
  let uploadCount = 0;
  const answer = (
    method: string,
    url: URL,
    body: Buffer,
  ): { status: number; body?: string | Buffer; etag?: string } => {
    const key = decodeURIComponent(url.pathname.slice(1));
    const query = url.searchParams;
    if (method === 'GET' && query.get('list-type') === '2') return { status: 200, body: listing(objects, key, query) };
    if (method === 'POST' && query.has('uploads')) {
      const id = `upload ${++uploadCount}`;
      uploads.set(id, new Map());
      return { status: 200, body: `<R><UploadId>${id}</UploadId></R>` };
    }
    const upload = query.get('uploadId');
    if (upload !== null) {
      const parts = uploads.get(upload);
      if (parts === undefined) return { status: 404, body: '<Error><Code>NoSuchUpload</Code></Error>' };
      if (method === 'PUT') {
        parts.set(Number(query.get('partNumber')), body);
        return { status: 200, etag: `"${parts.size}&amp"` };
      }
      uploads.delete(upload);
      if (method === 'POST')
        objects.set(key, Buffer.concat([...parts].sort(([a], [b]) => a - b).map(([, part]) => part)));
      return { status: 200, body: '<R/>' };
    }
    if (method === 'PUT') objects.set(key, body);
    else if (method === 'DELETE') objects.delete(key);
    const found = objects.get(key);
    if (method === 'GET') return found ? { status: 200, body: found } : { status: 404, body: '<Error/>' };
    return { status: 200 };
  };
  const server: Server = createServer((request, response) => {
    bodyOf(request).then(
      (body) => {
        const refused = refusals.shift();
        const url = new URL(request.url ?? '/', 'http://service');
        const error = '<Error>\n<Code>NotNow</Code>\n<Message>try later</Message></Error>';
        const result = refused ? { status: refused, body: error } : answer(request.method ?? '', url, body);
        response.writeHead(result.status, 'etag' in result && result.etag ? { etag: result.etag } : {});
        response.end(result.body);
      },
      () => response.destroy(),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    endpoint: `http://127.0.0.1:${port}`,
    objects,
    uploads,
    refusals,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function listing(objects: Map<string, Buffer>, bucket: string, query: URLSearchParams): string {
  const keys = [...objects.keys()]
    .filter((key) => key.startsWith(`${bucket}/`))
    .map((key) => key.slice(bucket.length + 1))
    .filter((key) => key.startsWith(query.get('prefix') ?? ''))
    .sort();
  const from = Number(query.get('continuation-token') ?? 0);
  const page = keys
    .slice(from, from + pageNames)
    .map((key) => `<Contents><Key>${key.replaceAll('&', '&amp;')}</Key></Contents>`);
  const isMore = keys.length > from + pageNames;
  const token = isMore ? `<NextContinuationToken>${from + pageNames}</NextContinuationToken>` : '';
  return `<R><IsTruncated>${isMore}</IsTruncated>${page.join('')}${token}</R>`;
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}
