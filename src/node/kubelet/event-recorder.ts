/**
 * Events about pods and the node. Recording never waits and never fails the caller: an event is a courtesy. The same
 * event again raises the count of the first one.
 */
import type { JsonObject, KubeObject } from '../../control/api/contract.ts';
import { type ApiClient, isNotFound, resources } from '../../control/client/index.ts';
import type { Clock } from '../../env/clock.ts';
import { errorText } from '../../env/errors.ts';
import type { Log } from '../../env/log.ts';
import { rfc3339 } from './pod-status.ts';

export interface EventSubject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly fieldPath?: string;
}

export interface EventRecorder {
  record(subject: EventSubject, type: 'Normal' | 'Warning', reason: string, message: string): void;
}

// While the API server is away events pile up; the oldest are worth least.
const pendingMax = 256;
// As many series as a full node's pods produce in a while; beyond it a series begins anew.
const seriesMax = 1024;
// Upstream's API server refuses more.
const messageCharactersMax = 1024;

interface Series {
  readonly name: string;
  count: number;
}

export class ApiEventRecorder implements EventRecorder {
  readonly #client: ApiClient;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #nodeName: string;
  readonly #pending: (() => Promise<void>)[] = [];
  readonly #series = new Map<string, Series>();
  #isSending = false;

  constructor(options: { client: ApiClient; clock: Clock; log: Log; nodeName: string }) {
    this.#client = options.client;
    this.#clock = options.clock;
    this.#log = options.log;
    this.#nodeName = options.nodeName;
  }

  record(subject: EventSubject, type: 'Normal' | 'Warning', reason: string, message: string): void {
    if (this.#pending.length >= pendingMax) this.#pending.shift();
    this.#pending.push(() => this.#write(subject, type, reason, message.slice(0, messageCharactersMax)));
    if (!this.#isSending) void this.#send();
  }

  async #send(): Promise<void> {
    this.#isSending = true;
    for (let next = this.#pending.shift(); next !== undefined; next = this.#pending.shift()) {
      try {
        await next();
      } catch (error) {
        this.#log.warn('event not recorded', { error: errorText(error) });
      }
    }
    this.#isSending = false;
  }

  async #write(subject: EventSubject, type: string, reason: string, message: string): Promise<void> {
    const nowMs = this.#clock.wallMs();
    const key = JSON.stringify([subject.uid, subject.fieldPath, type, reason, message]);
    const namespace = subject.namespace === '' ? 'default' : subject.namespace;
    const series = this.#series.get(key);
    if (series !== undefined) {
      series.count++;
      const body: JsonObject = { count: series.count, lastTimestamp: rfc3339(nowMs) };
      try {
        await this.#client.patch(resources.events, namespace, series.name, { type: 'merge', body });
        return;
      } catch (error) {
        // Events live an hour; one that is gone is written anew.
        if (!isNotFound(error)) throw error;
        this.#series.delete(key);
      }
    }
    const name = `${subject.name}.${(BigInt(Math.floor(nowMs)) * 1_000_000n + BigInt(this.#series.size)).toString(16)}`;
    await this.#client.create(resources.events, {
      apiVersion: 'v1',
      kind: 'Event',
      metadata: { name, namespace },
      involvedObject: { ...subject },
      reason,
      message,
      type,
      source: { component: 'kubelet', host: this.#nodeName },
      reportingComponent: 'kubelet',
      reportingInstance: this.#nodeName,
      count: 1,
      firstTimestamp: rfc3339(nowMs),
      lastTimestamp: rfc3339(nowMs),
    });
    this.#series.set(key, { name, count: 1 });
    if (this.#series.size > seriesMax) {
      const oldest = this.#series.keys().next().value;
      if (oldest !== undefined) this.#series.delete(oldest);
    }
  }
}

export function podSubject(pod: KubeObject, containerField?: string): EventSubject {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    namespace: pod.metadata.namespace ?? '',
    name: pod.metadata.name,
    uid: pod.metadata.uid,
    ...(containerField === undefined ? {} : { fieldPath: containerField }),
  };
}
