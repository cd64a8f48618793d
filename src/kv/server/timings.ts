/** How long things take in one member, and how often they were slow: plain numbers for whoever serves metrics. */
import { exponentialBounds, PlainHistogram } from '../../env/histogram.ts';

/** 1 ms to 8 s, as etcd has it for what may wait for a disk. */
const diskBounds = exponentialBounds(0.001, 2, 14);
/** 0.1 s to 409.6 s: what goes over all data. */
const wholeBounds = exponentialBounds(0.1, 2, 13);
/** Longer than this, applying keeps heartbeats waiting. */
const slowApplySeconds = 0.1;
/** Longer than this, a read has waited for more than the network. */
const slowReadIndexSeconds = 0.5;

export class StoreTimings {
  /** One batch of entries each. */
  readonly applySeconds = new PlainHistogram(exponentialBounds(0.0001, 2, 20));
  readonly compactionMs = new PlainHistogram(exponentialBounds(100, 2, 14));
  /** Each slice of cleaning up holds everything else for so long. */
  readonly cleanSliceMs = new PlainHistogram(exponentialBounds(1, 2, 13));
  /** Stamp of the last compaction that was cleaned up to its end, seconds since the epoch; 0 = none yet. */
  compactedAtSeconds = 0;
  rowsCleaned = 0;
  readonly defragmentSeconds = new PlainHistogram(wholeBounds);
  readonly hashSeconds = new PlainHistogram(exponentialBounds(0.01, 2, 15));
  /** What a client asked a hash of everything for. */
  readonly hashAllSeconds = new PlainHistogram(exponentialBounds(0.01, 2, 15));
  /** An etcd snapshot file for a client. */
  readonly exportSeconds = new PlainHistogram(exponentialBounds(0.01, 2, 17));
  /** A Raft snapshot, written or sent. */
  readonly snapshotSaveSeconds = new PlainHistogram(diskBounds);
  /** A Raft snapshot that replaced the state. */
  readonly restoreSeconds = new PlainHistogram(wholeBounds);
  readonly leaseTtlSeconds = new PlainHistogram(exponentialBounds(1, 2, 24));
  slowApplies = 0;
  slowReadIndexes = 0;
  failedReadIndexes = 0;
  restoresUnderWay = 0;
  defragmentsUnderWay = 0;
  /** Copies of the state that clients read now. */
  snapshotsOpen = 0;
  learnersPromoted = 0;
  healthyAnswers = 0;
  unhealthyAnswers = 0;
  leasesRenewed = 0;

  applied(seconds: number): void {
    this.applySeconds.observe(seconds);
    if (seconds > slowApplySeconds) this.slowApplies += 1;
  }

  /** One round of ReadIndex. */
  readIndexed(seconds: number, hasFailed: boolean): void {
    if (hasFailed) this.failedReadIndexes += 1;
    else if (seconds > slowReadIndexSeconds) this.slowReadIndexes += 1;
  }
}
