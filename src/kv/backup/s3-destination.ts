/**
 * Backups in a bucket of an S3-compatible service, addressed by path, requests signed with SigV4.
 *
 * Small backups are one request; larger ones are uploaded in parts, of which one is held in memory, and appear when all of
 * them are there. An upload that fails is taken back. Requests that a busy server refused are repeated by the signer.
 */
import { AwsClient } from 'aws4fetch';
import { assert } from '../../env/assert.ts';
import { errorText, KeelsonError } from '../../env/errors.ts';
import type { Destination } from './destination.ts';

export interface S3Options {
  /** `https://host:port`; a service that is not Amazon's has one. */
  readonly endpoint: string;
  readonly bucket: string;
  /** Before each name; '' or ending in a slash. */
  readonly prefix: string;
  readonly region: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
  /** Of an upload in parts; for tests, which have less to upload. */
  readonly partBytes?: number;
}

/** S3 takes parts from 5 MB up, and 10,000 of them: 160 GB. */
const partBytesDefault = 16 * 1024 * 1024;
const partsMax = 10_000;
/** A listing that goes on for longer than this goes round in circles. */
const pagesMax = 1_000;
const bodyBytesShown = 300;
/** A page of a listing has a thousand names of a kilobyte; no other answer that is read as text is longer. */
const textBytesMax = 4 * 1024 * 1024;

export function s3Destination(options: S3Options): Destination {
  return new S3(options);
}

/** A finished part as the service wants it named at the end. */
interface Part {
  readonly number: number;
  readonly etag: string;
}

class S3 implements Destination {
  readonly description: string;
  readonly #options: S3Options;
  readonly #client: AwsClient;

  constructor(options: S3Options) {
    const { accessKeyId, secretAccessKey, sessionToken, region, prefix } = options;
    assert(prefix === '' || prefix.endsWith('/'), 'a prefix ends with a slash');
    this.#options = options;
    this.#client = new AwsClient({
      accessKeyId,
      secretAccessKey,
      region,
      service: 's3',
      retries: 5,
      ...(sessionToken === undefined ? {} : { sessionToken }),
    });
    this.description = `s3://${options.bucket}/${prefix} at ${options.endpoint}`;
  }

  async list(): Promise<readonly string[]> {
    const { prefix } = this.#options;
    const names: string[] = [];
    let token: string | undefined;
    for (let page = 0; page < pagesMax; page++) {
      const query = new URLSearchParams({ 'list-type': '2', prefix });
      if (token !== undefined) query.set('continuation-token', token);
      const text = await this.#text('list', await this.#send('list', 'GET', `?${query}`));
      for (const [, key] of text.matchAll(/<Key>([^<]*)<\/Key>/g))
        names.push(fromXml(key as string).slice(prefix.length));
      if (!/<IsTruncated>true<\/IsTruncated>/.test(text)) return names;
      token = fromXml(/<NextContinuationToken>([^<]*)</.exec(text)?.[1] ?? '');
      if (token === '') break;
    }
    throw this.#failed('list', 'the listing does not end');
  }

  async put(name: string, content: AsyncIterable<Uint8Array>): Promise<void> {
    let upload: string | undefined;
    const parts: Part[] = [];
    try {
      for await (const { bytes, isLast } of inParts(content, this.#options.partBytes ?? partBytesDefault)) {
        if (isLast && upload === undefined) {
          await this.#text('put', await this.#send('put', 'PUT', this.#path(name), bytes));
          return;
        }
        upload ??= await this.#begin(name);
        if (parts.length === partsMax) throw this.#failed('put', `${name} is larger than ${partsMax} parts`);
        parts.push(await this.#part(name, upload, parts.length + 1, bytes));
      }
      assert(upload !== undefined, 'there was at least one part');
      await this.#complete(name, upload, parts);
    } catch (error) {
      // What is left of an upload costs money and shows nowhere; why it failed is what is told.
      if (upload !== undefined) {
        const query = new URLSearchParams({ uploadId: upload });
        await this.#send('abort', 'DELETE', `${this.#path(name)}?${query}`).catch(() => undefined);
      }
      throw error;
    }
  }

  async *get(name: string): AsyncGenerator<Uint8Array> {
    const response = await this.#send('get', 'GET', this.#path(name), undefined, [404]);
    if (response.status === 404) {
      throw new KeelsonError('BACKUP_MISSING', `read ${name} in ${this.description}: there is no such backup`);
    }
    try {
      for await (const chunk of response.body ?? []) yield chunk;
    } catch (error) {
      throw this.#failed('get', errorText(error), error);
    }
  }

  async remove(name: string): Promise<void> {
    await this.#text('remove', await this.#send('remove', 'DELETE', this.#path(name)));
  }

  async #begin(name: string): Promise<string> {
    const text = await this.#text('put', await this.#send('put', 'POST', `${this.#path(name)}?uploads=`));
    const upload = /<UploadId>([^<]+)<\/UploadId>/.exec(text)?.[1];
    if (upload === undefined) throw this.#failed('put', 'the service gave no upload id');
    return fromXml(upload);
  }

  async #part(name: string, upload: string, number: number, bytes: Uint8Array): Promise<Part> {
    const query = new URLSearchParams({ partNumber: String(number), uploadId: upload });
    const response = await this.#send('put', 'PUT', `${this.#path(name)}?${query}`, bytes);
    await this.#text('put', response);
    const etag = response.headers.get('etag');
    if (etag === null) throw this.#failed('put', `the service gave no ETag for part ${number}`);
    return { number, etag };
  }

  async #complete(name: string, upload: string, parts: readonly Part[]): Promise<void> {
    const list = parts.map(
      ({ number, etag }) => `<Part><PartNumber>${number}</PartNumber><ETag>${toXml(etag)}</ETag></Part>`,
    );
    const body = `<CompleteMultipartUpload>${list.join('')}</CompleteMultipartUpload>`;
    const query = new URLSearchParams({ uploadId: upload });
    const path = `${this.#path(name)}?${query}`;
    const text = await this.#text('put', await this.#send('put', 'POST', path, Buffer.from(body)));
    // The service may have begun to answer OK before it knew.
    if (text.includes('<Error>')) throw this.#failed('put', reasonIn(text));
  }

  #path(name: string): string {
    const key = `${this.#options.prefix}${name}`;
    return `/${key.split('/').map(encodeURIComponent).join('/')}`;
  }

  /** `path` is behind the bucket's name. Rejects unless the status is a success or one of `alsoFine`. */
  async #send(
    action: string,
    method: string,
    path: string,
    body?: Uint8Array,
    alsoFine: readonly number[] = [],
  ): Promise<Response> {
    const { endpoint, bucket } = this.#options;
    let response: Response;
    try {
      response = await this.#client.fetch(`${endpoint.replace(/\/$/, '')}/${bucket}${path}`, {
        method,
        // A body that is a view is sent whole by some: it is cut out.
        ...(body === undefined ? {} : { body: Uint8Array.from(body) }),
      });
    } catch (error) {
      const cause = (error as { readonly cause?: unknown }).cause;
      throw this.#failed(action, errorText(cause ?? error), error);
    }
    if (response.ok || alsoFine.includes(response.status)) return response;
    const said = reasonIn(await this.#text(action, response));
    throw this.#failed(action, `the service answered ${response.status} ${response.statusText} ${said}`.trim());
  }

  async #text(action: string, response: Response): Promise<string> {
    const chunks: Uint8Array[] = [];
    let bytes = 0;
    try {
      for await (const chunk of response.body ?? []) {
        bytes += chunk.length;
        if (bytes > textBytesMax) break;
        chunks.push(chunk);
      }
    } catch (error) {
      throw this.#failed(action, errorText(error), error);
    }
    if (bytes > textBytesMax) throw this.#failed(action, `the service answered more than ${textBytesMax} bytes`);
    return Buffer.concat(chunks).toString();
  }

  #failed(action: string, what: string, cause?: unknown): KeelsonError {
    return new KeelsonError(
      'S3_FAILED',
      `${action} in ${this.description}: ${what}: check address, bucket, rights and keys`,
      { cause },
    );
  }
}

/** Whole parts, the last one shorter. At least one. */
async function* inParts(
  content: AsyncIterable<Uint8Array>,
  partBytes: number,
): AsyncGenerator<{ readonly bytes: Uint8Array; readonly isLast: boolean }> {
  let gathered: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of content) {
    gathered.push(chunk);
    bytes += chunk.length;
    // A full part is held back until it is known that more comes behind it.
    if (bytes <= partBytes) continue;
    const all = Buffer.concat(gathered, bytes);
    let at = 0;
    for (; bytes - at > partBytes; at += partBytes) yield { bytes: all.subarray(at, at + partBytes), isLast: false };
    gathered = [all.subarray(at)];
    bytes -= at;
  }
  yield { bytes: Buffer.concat(gathered, bytes), isLast: true };
}

/** Code and message of an error in XML, or what there is of anything else, in one line. */
function reasonIn(body: string): string {
  const [code, message] = ['Code', 'Message'].map((tag) => new RegExp(`<${tag}>([^<]*)<`).exec(body)?.[1]);
  const text = code === undefined ? body.slice(0, bodyBytesShown) : `${fromXml(code)}: ${fromXml(message ?? '')}`;
  return text.replace(/\s+/g, ' ');
}

const codePointMax = 0x10ffff;
const entities: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

function fromXml(text: string): string {
  return text.replace(/&(#x?[0-9a-fA-F]+|\w+);/g, (whole, name: string) => {
    if (!name.startsWith('#')) return entities[name] ?? whole;
    const code = name.startsWith('#x') ? Number.parseInt(name.slice(2), 16) : Number(name.slice(1));
    // What is no character stays as it was written.
    return code <= codePointMax ? String.fromCodePoint(code) : whole;
  });
}

function toXml(text: string): string {
  return text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
}
