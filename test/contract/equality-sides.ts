/**
 * Two stores side by side: the same request goes to both over gRPC, and the answers are made comparable. What rightly
 * differs (ids of cluster and member, Raft terms) is left out; everything else is kept field by field, revisions included.
 */
import * as grpc from '@grpc/grpc-js';
import etcdDescriptor from '../../proto/gen/etcd.json' with { type: 'json' };
import { loadService } from '../../src/proto/grpc-service.ts';

export type Message = Readonly<Record<string, unknown>>;
/** An answer, or the error in its place. */
export type Answer = { readonly ok: unknown } | { readonly error: string };

export type ServiceName = 'KV' | 'Watch' | 'Lease' | 'Cluster' | 'Maintenance' | 'Auth';

const services = Object.fromEntries(
  (['KV', 'Watch', 'Lease', 'Cluster', 'Maintenance', 'Auth'] as const).map((name) => [
    name,
    loadService(etcdDescriptor, `etcdserverpb.${name}`),
  ]),
) as Record<ServiceName, grpc.ServiceDefinition>;

const answerTimeoutMs = 10_000;
/** Said about whoever answers, not about what is stored. */
const ownFields = new Set(['clusterId', 'memberId', 'raftTerm']);

/** A decoded message as plain comparable data: defaults left out, bytes as text, 64-bit numbers as decimal text. */
export function comparable(value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('latin1');
  if (Array.isArray(value)) return value.map(comparable);
  if (typeof value !== 'object' || value === null) return value;
  if ('low' in value && 'high' in value) return String(value);
  const out: Record<string, unknown> = {};
  for (const [name, field] of Object.entries(value)) {
    if (ownFields.has(name) || field === null || field === undefined) continue;
    const plain = comparable(field);
    const isDefault = plain === '' || plain === 0 || plain === '0' || plain === false;
    if (isDefault || (Array.isArray(plain) && plain.length === 0)) continue;
    out[name] = plain;
  }
  return out;
}

export class Side {
  readonly #client: grpc.Client;

  constructor(endpoint: string) {
    this.#client = new grpc.Client(endpoint.replace(/^https?:\/\//, ''), grpc.credentials.createInsecure());
  }

  close(): void {
    this.#client.close();
  }

  /** `token` of a user, when the call is somebody's. */
  call(service: ServiceName, method: string, request: Message, token?: string): Promise<Answer> {
    const metadata = new grpc.Metadata();
    if (token !== undefined) metadata.set('token', token);
    const definition = services[service][method];
    if (!definition) throw new Error(`no method ${service}.${method}`);
    return new Promise((resolve) => {
      this.#client.makeUnaryRequest(
        definition.path,
        definition.requestSerialize as (value: Message) => Buffer,
        definition.responseDeserialize as (bytes: Buffer) => object,
        request,
        metadata,
        { deadline: new Date(Date.now() + answerTimeoutMs) },
        (error, answer) => resolve(error ? { error: `${error.code} ${error.details}` } : { ok: comparable(answer) }),
      );
    });
  }

  stream(service: ServiceName, method: string): Conversation {
    const definition = services[service][method];
    if (!definition) throw new Error(`no method ${service}.${method}`);
    return new Conversation(
      this.#client.makeBidiStreamRequest(
        definition.path,
        definition.requestSerialize as (value: Message) => Buffer,
        definition.responseDeserialize as (bytes: Buffer) => object,
        new grpc.Metadata(),
      ),
    );
  }
}

/** One bidirectional stream and everything that was answered on it. */
export class Conversation {
  readonly answers: Message[] = [];
  ended: string | undefined;
  readonly #stream: grpc.ClientDuplexStream<Message, object>;
  #wake = () => {};

  constructor(stream: grpc.ClientDuplexStream<Message, object>) {
    this.#stream = stream;
    stream.on('data', (answer: object) => {
      this.answers.push(comparable(answer) as Message);
      this.#wake();
    });
    stream.on('error', () => undefined);
    stream.on('status', (status: grpc.StatusObject) => {
      this.ended = `${status.code} ${status.details}`;
      this.#wake();
    });
  }

  send(request: Message): void {
    this.#stream.write(request);
  }

  end(): void {
    this.#stream.end();
  }

  cancel(): void {
    this.#stream.cancel();
  }

  /** Resolves true as soon as `condition` holds, or false when it did not within `timeoutMs`. */
  async until(condition: () => boolean, timeoutMs = 5_000): Promise<boolean> {
    const lateAtMs = performance.now() + timeoutMs;
    while (!condition()) {
      const leftMs = lateAtMs - performance.now();
      if (leftMs <= 0) return false;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        setTimeout(resolve, Math.min(leftMs, 50)).unref();
      });
    }
    return true;
  }
}
