/**
 * The store as simply as it can be said: a list of every version ever written, searched from the end. No index, no
 * compaction of anything; only slow and plain. The model test holds the real state against it.
 */
import type { Compare, KvEvent, RangeRequest, WatchRequest } from '../../../src/kv/api.ts';
import { describeEvent, describeKv, text } from './requests.ts';

export interface Version {
  readonly key: string;
  /** undefined = deleted. */
  readonly value: string | undefined;
  readonly main: number;
  readonly create: number;
  readonly version: number;
  readonly lease: bigint;
}

export type ModelOp =
  | { readonly kind: 'put'; readonly key: string; readonly value: string; readonly lease: bigint }
  | { readonly kind: 'del'; readonly key: string; readonly end: string };

export class Model {
  readonly versions: Version[] = [];
  readonly leases = new Set<bigint>();
  revision = 1;
  compacted = 0;
  /** To revision 0 counts, too. */
  wasCompacted = false;

  /** Writes as one revision. */
  write(ops: readonly ModelOp[]): void {
    const main = this.revision + 1;
    const before = this.versions.length;
    for (const op of ops) {
      if (op.kind === 'put') this.#put(op, main);
      else for (const live of this.live(main, op.key, op.end)) this.#delete(live.key, main);
    }
    if (this.versions.length > before) this.revision = main;
  }

  /** Live versions of [key, end) as of a revision, in key order. */
  live(at: number, key: string, end: string): Version[] {
    const keys = [...new Set(this.versions.map((version) => version.key))].sort();
    return keys
      .filter((candidate) => contains(candidate, key, end))
      .map((candidate) => this.versionAt(candidate, at))
      .filter((version): version is Version => version?.value !== undefined);
  }

  versionAt(key: string, at: number): Version | undefined {
    return this.versions.findLast((version) => version.key === key && version.main <= at);
  }

  /** What a range request answers, as `listed` writes it. */
  range(request: RangeRequest): string {
    if (request.revision > this.revision) return 'futureRevision';
    if (request.revision !== 0 && request.revision < this.compacted) return 'compacted';
    const at = request.revision === 0 ? this.revision : request.revision;
    const live = this.live(at, text(request.key), text(request.rangeEnd));
    const isCut = request.limit > 0 && live.length > request.limit;
    const kvs = (isCut ? live.slice(0, request.limit) : live).map(describeVersion).join(', ');
    return `${kvs}${isCut ? ' …' : ''} #${live.length}`.trim();
  }

  holds(compare: Compare): boolean {
    const current = this.versionAt(text(compare.key), this.revision);
    const version = current?.value === undefined ? 0 : current.version;
    if (compare.target.kind !== 'version') throw new Error('the model compares versions only');
    return compare.result === 'equal' ? version === compare.target.value : version > compare.target.value;
  }

  /** The keys that hang on a lease. */
  keysOf(lease: bigint): string[] {
    return this.live(this.revision, '\0', '\0')
      .filter((version) => version.lease === lease)
      .map((version) => version.key);
  }

  /** The events of a watch from `from` up to `to`. `compactedAt` says where compaction was when a revision was delivered. */
  events(watch: WatchRequest, from: number, to: number, compactedAt: (main: number) => number): string[] {
    return this.versions
      .filter((version) => version.main >= from && version.main <= to)
      .filter((version) => contains(version.key, text(watch.key), text(watch.rangeEnd)))
      .filter((version) => (version.value === undefined ? !watch.noDelete : !watch.noPut))
      .map((version) => {
        const what = version.value === undefined ? `delete ${version.key}` : `put ${version.key}=${version.value}`;
        const previous = this.versionAt(version.key, version.main - 1);
        const hasPrevious =
          watch.prevKv && previous?.value !== undefined && version.main - 1 >= compactedAt(version.main);
        return `${what}@${version.main}${hasPrevious ? ` (was ${previous.value})` : ''}`;
      });
  }

  #put(op: Extract<ModelOp, { kind: 'put' }>, main: number): void {
    const current = this.versionAt(op.key, main);
    const isAlive = current?.value !== undefined;
    this.versions.push({
      key: op.key,
      value: op.value,
      main,
      create: isAlive ? current.create : main,
      version: isAlive ? current.version + 1 : 1,
      lease: op.lease,
    });
  }

  #delete(key: string, main: number): void {
    this.versions.push({ key, value: undefined, main, create: 0, version: 0, lease: 0n });
  }
}

function contains(candidate: string, key: string, end: string): boolean {
  if (end === '') return candidate === key;
  return candidate >= key && (end === '\0' || candidate < end);
}

function describeVersion(version: Version): string {
  const lease = version.lease === 0n ? '' : ` l${version.lease}`;
  return `${version.key}=${version.value} c${version.create} m${version.main} v${version.version}${lease}`;
}

/** A watch that takes down what it is told, and pauses after every so many calls. */
export class RecordedWatch {
  readonly request: WatchRequest;
  readonly from: number;
  readonly events: string[] = [];
  readonly compactedAt = new Map<number, number>();
  readonly #pauseEvery: number;
  readonly #compactRevision: () => number;
  lastMain = 0;
  compacted: number | undefined;
  isCompactedFromStart = false;
  #calls = 0;

  constructor(options: {
    request: WatchRequest;
    from: number;
    pauseEvery: number;
    compactRevision: () => number;
  }) {
    this.request = options.request;
    this.from = options.from;
    this.#pauseEvery = options.pauseEvery;
    this.#compactRevision = options.compactRevision;
  }

  get neverPauses(): boolean {
    return this.#pauseEvery === 0;
  }

  readonly sink = {
    events: (events: readonly KvEvent[]): boolean => {
      if (this.compacted !== undefined) throw new Error('a watch that is over was told of events');
      const first = events[0]?.kv.modRevision ?? 0;
      if (first <= this.lastMain) throw new Error(`revision ${first} came after ${this.lastMain}`);
      for (const event of events) {
        this.events.push(describeEvent(event));
        this.lastMain = event.kv.modRevision;
        this.compactedAt.set(event.kv.modRevision, this.#compactRevision());
      }
      this.#calls += 1;
      return this.#pauseEvery === 0 || this.#calls % this.#pauseEvery !== 0;
    },
    compacted: (revision: number): void => {
      if (this.compacted !== undefined) throw new Error('a watch ends once');
      this.compacted = revision;
    },
  };
}

export { describeKv };
