/**
 * Records what happened to an object as core/v1 Events. The same story told again raises `count` of the Event instead
 * of making a new one. Events are hints for people: one that cannot be written is logged and dropped, never retried,
 * and the backlog is bounded so that a failing server cannot fill memory.
 */
import type { Clock } from '../../env/clock.ts';
import { errorText } from '../../env/errors.ts';
import type { Log } from '../../env/log.ts';
import type { Random } from '../../env/random.ts';
import type { KubeObject } from '../api/contract.ts';
import { timeFromMs } from '../api/time-text.ts';
import { isNamespaceTerminating, isNotFound } from './api-error.ts';
import type { ApiClient } from './contract.ts';
import { resources } from './resources.ts';

/** Waiting for the server; more than that in one moment is a storm nobody reads. */
const backlogMax = 500;
/** Remembered for counting; the oldest are forgotten and told as new Events again. */
const rememberedMax = 2000;

export interface EventRecorderOptions {
  readonly client: ApiClient;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** `deployment-controller`, `kubelet`, … */
  readonly component: string;
  readonly host?: string;
}

/** What an event is about: any object of the API, or a part of it. */
export interface EventSubject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: KubeObject['metadata'];
  /** `spec.containers{name}`. */
  readonly fieldPath?: string;
}

interface Story {
  readonly key: string;
  readonly event: KubeObject;
}

export class EventRecorder {
  readonly #options: EventRecorderOptions;
  readonly #remembered = new Map<string, { name: string; namespace: string; count: number }>();
  readonly #backlog: Story[] = [];
  #isWriting = false;
  #idleWaiters: (() => void)[] = [];

  constructor(options: EventRecorderOptions) {
    this.#options = options;
  }

  /** A recorder that shares nothing but the world, for another component. */
  for(component: string): EventRecorder {
    return new EventRecorder({ ...this.#options, component });
  }

  /** Returns at once. */
  record(subject: EventSubject, type: 'Normal' | 'Warning', reason: string, message: string): void {
    const { clock, random, component, host } = this.#options;
    const { fieldPath } = subject;
    const { namespace, name, uid, resourceVersion } = subject.metadata;
    if (this.#backlog.length >= backlogMax) {
      this.#options.log.warn('too many events wait for the server, dropping one', { reason, message });
      return;
    }
    const eventNamespace = namespace ?? 'default';
    const nowText = timeFromMs(clock.wallMs());
    const suffix = Buffer.from(random.bytes(8)).toString('hex');
    const event = {
      apiVersion: 'v1',
      kind: 'Event',
      metadata: { name: `${name}.${suffix}`, namespace: eventNamespace } as KubeObject['metadata'],
      involvedObject: {
        kind: subject.kind,
        ...(namespace === undefined ? {} : { namespace }),
        name,
        uid,
        apiVersion: subject.apiVersion,
        resourceVersion,
        ...(fieldPath === undefined ? {} : { fieldPath }),
      },
      reason,
      message: message.slice(0, 1024),
      source: { component, ...(host === undefined ? {} : { host }) },
      firstTimestamp: nowText,
      lastTimestamp: nowText,
      count: 1,
      type,
      reportingComponent: component,
      reportingInstance: host ?? '',
    };
    this.#backlog.push({ key: [uid, fieldPath ?? '', type, reason, message].join('|'), event });
    if (!this.#isWriting) void this.#write();
  }

  /** Resolves when nothing waits to be written. */
  idle(): Promise<void> {
    return this.#isWriting ? new Promise((resolve) => this.#idleWaiters.push(resolve)) : Promise.resolve();
  }

  async #write(): Promise<void> {
    this.#isWriting = true;
    for (let story = this.#backlog.shift(); story !== undefined; story = this.#backlog.shift()) {
      try {
        await this.#writeOne(story);
      } catch (error) {
        if (isNamespaceTerminating(error)) continue;
        const { reason, message } = story.event as KubeObject & { reason: string; message: string };
        this.#options.log.warn('cannot record an event', { reason, message, error: errorText(error) });
      }
    }
    this.#isWriting = false;
    for (const waiter of this.#idleWaiters.splice(0)) waiter();
  }

  async #writeOne({ key, event }: Story): Promise<void> {
    const { client } = this.#options;
    const timeoutMs = 5000;
    const before = this.#remembered.get(key);
    if (before !== undefined) {
      const count = before.count + 1;
      const body = { count, lastTimestamp: event.lastTimestamp };
      try {
        await client.patch(resources.events, before.namespace, before.name, { type: 'merge', body }, { timeoutMs });
        before.count = count;
        return;
      } catch (error) {
        // Events expire; then the story starts again.
        if (!isNotFound(error)) throw error;
      }
    }
    await client.create(resources.events, event, { timeoutMs });
    this.#remembered.delete(key);
    this.#remembered.set(key, { name: event.metadata.name, namespace: event.metadata.namespace ?? '', count: 1 });
    if (this.#remembered.size > rememberedMax) {
      for (const oldest of this.#remembered.keys()) {
        this.#remembered.delete(oldest);
        break;
      }
    }
  }
}
