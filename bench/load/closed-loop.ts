/**
 * Closed-loop load: a fixed number of calls in flight, each answered one replaced at once, for a while. Samples say how
 * many calls were answered, how long they took and how much processor time the servers spent on them.
 */
import { assert } from '../../src/env/assert.ts';
import { LeanConnection } from './connection.ts';
import type { CallSink, ConnectionOptions } from './connection.ts';
import type { Template } from './messages.ts';
import { cpuMicroseconds, quantile } from './usage.ts';

/** Streams on one connection: servers limit them, commonly to 100. */
const callsPerConnectionMax = 100;

export interface Target {
  readonly endpoints: readonly string[];
  readonly tls: ConnectionOptions['tls'];
  /** Process ids of the servers. */
  readonly pids: () => readonly number[];
}

export interface Sample {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Processor time of all servers together, for each call. */
  readonly cpuPerCallMicroseconds: number;
  /** Bytes resident in the greatest server process, where memory is what was measured. */
  readonly residentBytes?: number;
}

/** One kind of call: the weight says how often it is chosen, in turns. */
export interface CallKind {
  readonly path: string;
  readonly message: Template;
  readonly weight: number;
}

export interface LoadPlan {
  readonly calls: readonly CallKind[];
  readonly inFlight: number;
  readonly seconds: number;
  readonly keys: number;
}

/** Opens as many connections as `inFlight` calls need, spread over the endpoints. */
export async function openConnections(target: Target, inFlight: number): Promise<LeanConnection[]> {
  const count = Math.max(1, Math.ceil(inFlight / callsPerConnectionMax));
  // Enough that every endpoint has its share.
  const wanted = Math.max(count, target.endpoints.length);
  return Promise.all(
    Array.from({ length: wanted }, (_, index) =>
      LeanConnection.open({
        endpoint: target.endpoints[index % target.endpoints.length] as string,
        tls: target.tls,
        onBroken: (error) => {
          throw new Error(`connection ${index} of the load generator broke: ${error.message}`);
        },
      }),
    ),
  );
}

export async function runLoad(target: Target, plan: LoadPlan): Promise<Sample> {
  assert(plan.inFlight > 0 && plan.seconds > 0, 'a load has calls and time');
  const connections = await openConnections(target, plan.inFlight);
  const turns = plan.calls.flatMap((kind) => Array.from({ length: kind.weight }, () => kind));
  const tookMs: number[] = [];
  let failed = 0;
  let number = 0;
  let open = 0;
  const done = Promise.withResolvers<void>();
  const cpuBefore = cpuMicroseconds(target.pids());
  const startedMs = performance.now();
  const untilMs = startedMs + plan.seconds * 1000;
  let lastMs = startedMs;
  const begin = (connection: LeanConnection) => {
    const turn = number++;
    const kind = turns[turn % turns.length] as CallKind;
    const beginMs = performance.now();
    open += 1;
    const sink: CallSink = {
      onMessage: () => undefined,
      onEnd: (isOk) => {
        open -= 1;
        const nowMs = performance.now();
        if (!isOk) failed += 1;
        else if (nowMs <= untilMs) {
          tookMs.push(nowMs - beginMs);
          lastMs = nowMs;
        }
        // A single client goes from member to member: at the leader a call has half of the way that it has elsewhere.
        const next = plan.inFlight > 1 ? connection : (connections[number % connections.length] as LeanConnection);
        if (nowMs < untilMs) begin(next);
        else if (open === 0) done.resolve();
      },
    };
    connection.call(kind.path, kind.message, (turn * 7919) % plan.keys, sink);
  };
  for (let index = 0; index < plan.inFlight; index++) begin(connections[index % connections.length] as LeanConnection);
  await done.promise;
  const cpu = cpuMicroseconds(target.pids()) - cpuBefore;
  for (const connection of connections) connection.close();
  if (failed > 0) throw new Error(`${failed} of ${number} calls of ${plan.calls[0]?.path} failed`);
  return sampleOf(tookMs, (lastMs - startedMs) / 1000, cpu / number);
}

export function sampleOf(tookMs: readonly number[], seconds: number, cpuPerCallMicroseconds: number): Sample {
  const sorted = Float64Array.from(tookMs).sort();
  return {
    perSecond: tookMs.length / seconds,
    p50Ms: quantile(sorted, 0.5),
    p99Ms: quantile(sorted, 0.99),
    cpuPerCallMicroseconds,
  };
}
