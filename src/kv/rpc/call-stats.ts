/**
 * What is counted of every call, as plain numbers: labels and metric objects are only made when somebody scrapes, because
 * prom-client's own counters cost more than a read of the store.
 */
import type { CallCounters, CallType, MessageCounts } from './call.ts';
import type { StoreRegistry, Value } from './store-registry.ts';

/** gRPC codes as the metrics of etcd's gRPC library spell them. */
const codeNames = [
  'OK',
  'Canceled',
  'Unknown',
  'InvalidArgument',
  'DeadlineExceeded',
  'NotFound',
  'AlreadyExists',
  'PermissionDenied',
  'ResourceExhausted',
  'FailedPrecondition',
  'Aborted',
  'OutOfRange',
  'Unimplemented',
  'Internal',
  'Unavailable',
  'DataLoss',
  'Unauthenticated',
];
const unknownCode = 2;
const boundsSeconds = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5];

interface MethodStats {
  readonly service: string;
  readonly method: string;
  readonly type: CallType;
  started: number;
  /** By gRPC code. */
  readonly handled: number[];
  /** Calls by the first bound that they stay within; the last place is for those beyond all. */
  readonly within: number[];
  seconds: number;
  readonly messages: MessageCounts;
}

export class CallStats implements CallCounters {
  readonly #services = new Map<string, Map<string, MethodStats>>();

  constructor(registry: StoreRegistry) {
    registry.describe(
      { name: 'grpc_server_started_total', help: 'Total number of RPCs started on the server.', type: 'counter' },
      () => this.#all().map((stats) => ({ labels: labelsOf(stats), value: stats.started })),
    );
    registry.describe(
      {
        name: 'grpc_server_handled_total',
        help: 'Total number of RPCs completed on the server, regardless of success or failure.',
        type: 'counter',
      },
      () => this.#all().flatMap(handledValues),
    );
    registry.describe(
      {
        name: 'grpc_server_msg_received_total',
        help: 'Total number of RPC stream messages received on the server.',
        type: 'counter',
      },
      () => this.#all().map((stats) => ({ labels: labelsOf(stats), value: stats.messages.received })),
    );
    registry.describe(
      {
        name: 'grpc_server_msg_sent_total',
        help: 'Total number of gRPC stream messages sent by the server.',
        type: 'counter',
      },
      () => this.#all().map((stats) => ({ labels: labelsOf(stats), value: stats.messages.sent })),
    );
    registry.describe(
      {
        name: 'grpc_server_handling_seconds',
        help: 'Time from the request to its answer for unary RPCs.',
        type: 'histogram',
      },
      () =>
        this.#all().flatMap((stats) =>
          tookCount(stats) === 0 ? [] : durationValues(stats, 'grpc_server_handling_seconds', labelsOf(stats)),
        ),
    );
  }

  started(service: string, method: string, type: CallType): void {
    this.#of(service, method, type).started += 1;
  }

  handled(service: string, method: string, type: CallType, code: number): void {
    const { handled } = this.#of(service, method, type);
    const known = code >= 0 && code < codeNames.length ? code : unknownCode;
    handled[known] = (handled[known] ?? 0) + 1;
  }

  took(service: string, method: string, seconds: number): void {
    const stats = this.#of(service, method, 'unary');
    let place = 0;
    while (place < boundsSeconds.length && seconds > (boundsSeconds[place] as number)) place += 1;
    stats.within[place] = (stats.within[place] ?? 0) + 1;
    stats.seconds += seconds;
  }

  readonly messages = (service: string, method: string, type: CallType): MessageCounts =>
    this.#of(service, method, type).messages;

  /** Of all methods together. */
  messageBytes(): { readonly received: number; readonly sent: number } {
    const all = this.#all();
    return {
      received: all.reduce((sum, { messages }) => sum + messages.receivedBytes, 0),
      sent: all.reduce((sum, { messages }) => sum + messages.sentBytes, 0),
    };
  }

  /** How long the calls of one method took, under another name. */
  durations(service: string, method: string, name: string): readonly Value[] {
    return durationValues(this.#of(service, method, 'unary'), name, {});
  }

  /** Streams of a method that have begun and not ended. */
  underWay(service: string, method: string): number {
    const stats = this.#services.get(service)?.get(method);
    return stats === undefined ? 0 : stats.started - stats.handled.reduce((sum, count) => sum + count, 0);
  }

  startedCount(isUnary: boolean): number {
    const those = this.#all().filter(({ type }) => (type === 'unary') === isUnary);
    return those.reduce((sum, { started }) => sum + started, 0);
  }

  #of(service: string, method: string, type: CallType): MethodStats {
    const known = this.#services.get(service)?.get(method);
    if (known !== undefined) return known;
    const stats = { service, method, type, started: 0, handled: [], within: [], seconds: 0, messages: noMessages() };
    const methods = this.#services.get(service) ?? new Map<string, MethodStats>();
    this.#services.set(service, methods.set(method, stats));
    return stats;
  }

  #all(): readonly MethodStats[] {
    return [...this.#services.values()].flatMap((methods) => [...methods.values()]);
  }
}

function noMessages(): MessageCounts {
  return { received: 0, receivedBytes: 0, sent: 0, sentBytes: 0 };
}

function labelsOf({ service, method, type }: MethodStats) {
  // By the alphabet, as every Prometheus library of Go writes them: scripts compare whole lines.
  return { grpc_method: method, grpc_service: service, grpc_type: type };
}

function handledValues(stats: MethodStats): readonly Value[] {
  return stats.handled.flatMap((value, code) =>
    value > 0 ? [{ labels: { grpc_code: codeNames[code] ?? 'Unknown', ...labelsOf(stats) }, value }] : [],
  );
}

function tookCount({ within }: MethodStats): number {
  return within.reduce((sum, count) => sum + (count ?? 0), 0);
}

function durationValues(stats: MethodStats, name: string, labels: Value['labels']): readonly Value[] {
  const { within, seconds } = stats;
  let count = 0;
  const buckets = [...boundsSeconds, '+Inf'].map((le, place) => {
    count += within[place] ?? 0;
    return { labels: { ...labels, le }, value: count, metricName: `${name}_bucket` };
  });
  return [
    ...buckets,
    { labels, value: seconds, metricName: `${name}_sum` },
    { labels, value: count, metricName: `${name}_count` },
  ];
}
