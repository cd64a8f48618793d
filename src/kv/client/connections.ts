/**
 * One HTTP/2 connection per endpoint and which of them is in use. Connections are made when first needed and made
 * again by grpc-js; the choice moves on only when the endpoint in use fails, so that a healthy client stays where it is.
 * A member that falls silent while somebody waits for it (`attend`) is left, its connection with it.
 */
import { isIP } from 'node:net';
import { checkServerIdentity } from 'node:tls';
import * as grpc from '@grpc/grpc-js';
import { assert, present } from '../../env/assert.ts';
import type { Cancel, Clock } from '../../env/clock.ts';
import { KeelsonError } from '../../env/errors.ts';
import { grpcStatus } from '../../rpc/grpc-status.ts';
import { healthService } from '../rpc/services.ts';
import type { KvClientOptions } from './contract.ts';
import { Pulse } from './pulse.ts';
import { Session } from './session.ts';

/** A member that does not complete TCP and TLS within this is passed over; five round trips on a slow continent. */
const connectTimeoutMs = 2_000;

const channelOptions: grpc.ClientOptions = {
  // Answers are as long as the store makes them (a whole resource list); the server limits requests.
  'grpc.max_receive_message_length': -1,
  'grpc.max_send_message_length': -1,
  // What a stream may carry before this side has looked at it. HTTP/2's own 64 KB let a watch through only 64 KB for each
  // turn of a busy event loop (and for each round trip): it fell behind for good, and reads that waited for it timed out.
  // Room for a few thousand events; more than that waits in the store.
  'grpc-node.flow_control_window': 8 * 1024 * 1024,
  // For the only member of a client; with several, pulse.ts is faster. etcd refuses pings under 5 s.
  'grpc.keepalive_time_ms': 10_000,
  'grpc.keepalive_timeout_ms': 5_000,
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 1_000,
  // The client decides itself what may be sent twice.
  'grpc.enable_retries': 0,
  'grpc.enable_channelz': 0,
  'grpc.use_local_subchannel_pool': 1,
  'grpc-node.max_session_memory': Number.MAX_SAFE_INTEGER,
};

/** `https://host:port` as grpc-js wants it, and whether it is encrypted. */
export function parseEndpoint(endpoint: string): { readonly target: string; readonly isSecure: boolean } {
  const unix = /^(unixs?):\/\/(.+)$/.exec(endpoint);
  if (unix) return { target: `unix:${unix[2]}`, isSecure: unix[1] === 'unixs' };
  let url: URL;
  try {
    url = new URL(endpoint.includes('://') ? endpoint : `http://${endpoint}`);
  } catch {
    throw new KeelsonError('BAD_ENDPOINT', `store endpoint ${JSON.stringify(endpoint)}: want https://host:port`);
  }
  if ((url.protocol !== 'http:' && url.protocol !== 'https:') || url.port === '') {
    throw new KeelsonError('BAD_ENDPOINT', `store endpoint ${JSON.stringify(endpoint)}: want https://host:port`);
  }
  return { target: `dns:///${url.host}`, isSecure: url.protocol === 'https:' };
}

/** TLS forbids an address as the server's name, and Node warns about it: addresses send this and are checked by hand. */
const nameOfAddresses = 'store.invalid';

function isAddress(endpoint: string): boolean {
  if (endpoint.startsWith('unix')) return false;
  return isIP(new URL(endpoint).hostname.replace(/^\[|\]$/g, '')) !== 0;
}

function nameOptions(endpoint: string): grpc.ClientOptions {
  // A socket file has no name: whoever listens on it is known by that of this machine.
  if (endpoint.startsWith('unix')) return { 'grpc.ssl_target_name_override': 'localhost' };
  return isAddress(endpoint) ? { 'grpc.ssl_target_name_override': nameOfAddresses } : {};
}

function secure(endpoint: string, tls: NonNullable<KvClientOptions['tls']>): grpc.ChannelCredentials {
  const ca = tls.ca ? Buffer.from(tls.ca) : null;
  const [key, cert] = tls.key && tls.cert ? [Buffer.from(tls.key), Buffer.from(tls.cert)] : [null, null];
  if (tls.isUnverified === true) {
    return grpc.credentials.createSsl(ca, key, cert, {
      rejectUnauthorized: false,
      checkServerIdentity: () => undefined,
    });
  }
  if (!isAddress(endpoint)) return grpc.credentials.createSsl(ca, key, cert);
  const host = new URL(endpoint).hostname.replace(/^\[|\]$/g, '');
  return grpc.credentials.createSsl(ca, key, cert, {
    checkServerIdentity: (_name, certificate) => checkServerIdentity(host, certificate),
  });
}

/** Nobody else to go to: the only member is waited for until the call's time is up. */
const alone: Attendance = { heard: () => undefined, leave: () => undefined };

/** Somebody waits for a member. */
export interface Attendance {
  /** Something came from it. */
  readonly heard: () => void;
  readonly leave: Cancel;
}

export class Connections {
  /** Undefined for a client that is no user. */
  readonly session: Session | undefined;
  readonly #clock: Clock;
  readonly #endpoints: readonly string[];
  readonly #tls: KvClientOptions['tls'];
  readonly #clients = new Map<string, grpc.Client>();
  readonly #pulses = new Map<string, Pulse>();
  #current = 0;
  #isClosed = false;

  constructor(options: KvClientOptions) {
    if (options.endpoints.length === 0) {
      throw new KeelsonError('BAD_ENDPOINT', 'the store client needs at least one endpoint such as https://host:2379');
    }
    this.#clock = options.clock;
    this.#endpoints = options.endpoints;
    this.#tls = options.tls;
    this.session = options.user && new Session(options.user, options.clock);
    for (const endpoint of options.endpoints) {
      if (parseEndpoint(endpoint).isSecure && !options.tls) {
        throw new KeelsonError('BAD_ENDPOINT', `store endpoint ${endpoint} is https: a CA certificate is needed`);
      }
    }
  }

  count(): number {
    return this.#endpoints.length;
  }

  /** The endpoint in use. */
  current(): string {
    return this.#endpoints[this.#current] as string;
  }

  /** `endpoint` failed: the next one is used, unless somebody has already moved on. */
  moveOn(endpoint: string): void {
    if (this.current() !== endpoint) return;
    this.#current = (this.#current + 1) % this.#endpoints.length;
  }

  get(endpoint: string): grpc.Client {
    assert(!this.#isClosed, 'a closed store client is not used');
    const known = this.#clients.get(endpoint);
    if (known) return known;
    const { target, isSecure } = parseEndpoint(endpoint);
    const credentials = isSecure && this.#tls ? secure(endpoint, this.#tls) : grpc.credentials.createInsecure();
    const names = isSecure ? nameOptions(endpoint) : {};
    const client = new grpc.Client(target, credentials, { ...channelOptions, ...names });
    this.#clients.set(endpoint, client);
    return client;
  }

  /** Resolves true once connected, false as soon as the connection attempt failed or took too long. */
  async connect(endpoint: string, timeoutMs: number): Promise<boolean> {
    const channel = this.get(endpoint).getChannel();
    const deadline = this.#clock.wallMs() + Math.max(1, Math.min(timeoutMs, connectTimeoutMs));
    let state = channel.getConnectivityState(true);
    // A channel in back-off is given one attempt: it leaves the state by itself within the back-off's second.
    let hasConnected = false;
    while (state !== grpc.connectivityState.READY) {
      if (state === grpc.connectivityState.SHUTDOWN) return false;
      if (state === grpc.connectivityState.CONNECTING) hasConnected = true;
      if (state === grpc.connectivityState.TRANSIENT_FAILURE && (hasConnected || this.#endpoints.length > 1))
        return false;
      const before = state;
      const changed = await new Promise<boolean>((resolve) =>
        channel.watchConnectivityState(before, deadline, (error) => resolve(error === undefined || error === null)),
      );
      if (!changed || this.#isClosed) return false;
      state = channel.getConnectivityState(true);
    }
    return true;
  }

  /**
   * Waits for `endpoint` from now on, which must be connected. When it falls silent it is passed over, the next user of
   * it gets a new connection, and `onSilent` is called. What was sent to it is the caller's to end.
   */
  attend(endpoint: string, onSilent: () => void): Attendance {
    if (this.#endpoints.length === 1) return alone;
    const pulse = this.#pulses.get(endpoint) ?? this.#startPulse(endpoint);
    return { heard: () => pulse.heard(), leave: pulse.join(onSilent) };
  }

  #startPulse(endpoint: string): Pulse {
    const client = this.get(endpoint);
    const pulse = new Pulse({
      clock: this.#clock,
      ask: (onAnswer) => askForLife(client, onAnswer),
      onSilent: () => {
        this.#pulses.delete(endpoint);
        if (this.#clients.get(endpoint) === client) this.#clients.delete(endpoint);
        this.moveOn(endpoint);
        client.close();
      },
    });
    this.#pulses.set(endpoint, pulse);
    return pulse;
  }

  isClosed(): boolean {
    return this.#isClosed;
  }

  close(): void {
    this.#isClosed = true;
    for (const pulse of this.#pulses.values()) pulse.close();
    this.#pulses.clear();
    for (const client of this.#clients.values()) client.close();
    this.#clients.clear();
  }
}

/** The cheapest call there is; it needs no leader. An error is an answer too, unless it is our own doing. */
function askForLife(client: grpc.Client, onAnswer: () => void): Cancel {
  const method = present(healthService['Check'], 'Check method');
  const sent = client.makeUnaryRequest(
    method.path,
    method.requestSerialize,
    method.responseDeserialize,
    { service: '' },
    (error) => {
      if (error?.code !== grpcStatus.cancelled) onAnswer();
    },
  );
  return () => sent.cancel();
}
