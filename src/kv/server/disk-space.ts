/**
 * What a member does about a disk that fills up, and about a quota that is used up.
 *
 *   free space below the limit   the NOSPACE alarm: writes are refused for all, reads and deletes go on
 *   none left all the same       the log's write waits; the reserve is given up for it, so that deletes have room
 *   space is back for a while    this member's alarm is cleared, as far as it was raised by a member's own finding
 *
 * An alarm that somebody activates by hand during this life of the process is left to them, and `alarm disarm` clears
 * each at once. The reserve is a file of zeros beside the log. It is not counted as free, and made again when there is room.
 */
import { assert } from '../../env/assert.ts';
import { type Cancel, type Clock, sleep } from '../../env/clock.ts';
import { type Disk, DiskError } from '../../env/disk.ts';
import { errorText } from '../../env/errors.ts';
import type { Log } from '../../env/log.ts';
import type { Alarm } from './contract.ts';

const mebibyte = 1024 * 1024;
/** LevelDB's log and tables under way, a segment of the log and a snapshot of a small store fit into it. */
const lowBytesMax = 64 * mebibyte;
/** LevelDB writes up to 32 MiB of its log into a table when it is opened; the rest is for deletes. */
const reserveBytesMax = 64 * mebibyte;
/** On small disks the limits are shares of the whole. */
const lowShare = 1 / 16;
const reserveShare = 1 / 16;
/** Cleared only with this much more than the limit, or the alarm would come and go with each write. */
const ampleFactor = 1.5;
/** Of the quota, for the same reason. */
const quotaShareToClear = 0.9;
const checkEveryMs = 5_000;
/** In a row, before an alarm is cleared: half a minute, in which an operator sees it. */
const goodChecksToClear = 6;
const retryMs = 1_000;
const pieceEveryMs = 50;

export interface DiskSpaceOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly disk: Disk;
  /** Holds the backend and the reserve. */
  readonly directory: string;
  /** Where the log is, when that is elsewhere. */
  readonly logDirectory?: string;
}

/** The member that the space is kept for. */
export interface SpaceUser {
  readonly memberId: number;
  /** 0 = none. */
  readonly quotaBytes: number;
  readonly bytesOnDisk: () => number;
  readonly alarms: () => readonly Alarm[];
  /** Whether it has raised its alarm for its quota, in this life of the process. */
  readonly hasRaisedAlarm: () => boolean;
  readonly setAlarm: (action: 'activate' | 'deactivate') => Promise<unknown>;
}

export class DiskSpace {
  readonly #options: DiskSpaceOptions;
  readonly #reservePath: string;
  #low = 0;
  #reserveBytes = 0;
  #hasReserve = false;
  #cancel: Cancel | undefined;
  #isChecking = false;
  #isStopped = false;
  /** Whether it was raised here for the disk, or before this start. */
  #isAlarmOwn = false;
  #goodChecks = 0;

  constructor(options: DiskSpaceOptions) {
    this.#options = options;
    this.#reservePath = `${options.directory}/reserve`;
  }

  /** Before anything else is opened: a start needs space too. */
  async prepare(): Promise<void> {
    const { disk } = this.#options;
    const total = Math.min(...(await this.#each((path) => disk.totalBytes(path))));
    // Without a known limit both are 0, and nothing is looked after.
    this.#low = Math.min(lowBytesMax, Math.floor(total * lowShare));
    this.#reserveBytes = Math.min(reserveBytesMax, Math.floor(total * reserveShare));
    this.#hasReserve = await disk.exists(this.#reservePath);
    if ((await this.#freeBytes()) < this.#reserveBytes) await this.#giveUpReserve();
  }

  /** Called by a write that found no space: waits until it is worth trying again. False when the member stops. */
  async wait(): Promise<boolean> {
    if (this.#isStopped) return false;
    if (await this.#giveUpReserve()) return true;
    this.#options.log.error('the disk is full: the log waits for space', { directory: this.#options.directory });
    await sleep(this.#options.clock, retryMs);
    return !this.#isStopped;
  }

  watch(user: SpaceUser): void {
    assert(this.#cancel === undefined, 'space is watched once');
    // Whoever raised one before this start, nobody knows any more: the usual case is this member.
    this.#isAlarmOwn = isActive(user);
    this.#cancel = this.#options.clock.every(checkEveryMs, () => {
      this.#check(user).catch((error: unknown) =>
        this.#options.log.warn('the free space of the disk was not looked after', { error: errorText(error) }),
      );
    });
  }

  stop(): void {
    this.#isStopped = true;
    this.#cancel?.();
  }

  async #check(user: SpaceUser): Promise<void> {
    if (this.#isChecking || this.#isStopped) return;
    this.#isChecking = true;
    try {
      const { log } = this.#options;
      const free = await this.#freeBytes();
      const active = isActive(user);
      if (free < this.#low && !active) {
        log.warn('alarm raised: the disk is nearly full', {
          alarm: 'NOSPACE',
          'free-bytes': free,
          'limit-bytes': this.#low,
        });
        this.#isAlarmOwn = true;
        await user.setAlarm('activate');
        return;
      }
      const isAmple = free >= this.#low * ampleFactor;
      if (isAmple && !this.#hasReserve) await this.#makeReserve(free);
      this.#goodChecks = active && isAmple && this.#isQuotaGood(user) ? this.#goodChecks + 1 : 0;
      if (this.#goodChecks < goodChecksToClear || !(this.#isAlarmOwn || user.hasRaisedAlarm())) return;
      await user.setAlarm('deactivate');
      this.#goodChecks = 0;
      log.info('alarm cleared: there is space again', { alarm: 'NOSPACE', 'free-bytes': free });
    } finally {
      this.#isChecking = false;
    }
  }

  /** Of the fuller one, when the log has a file system of its own. */
  async #freeBytes(): Promise<number> {
    return Math.min(...(await this.#each((path) => this.#options.disk.freeBytes(path))));
  }

  #each<T>(ask: (path: string) => Promise<T>): Promise<T[]> {
    const { directory, logDirectory } = this.#options;
    return Promise.all(logDirectory === undefined ? [ask(directory)] : [ask(directory), ask(logDirectory)]);
  }

  #isQuotaGood({ quotaBytes, bytesOnDisk }: SpaceUser): boolean {
    return quotaBytes <= 0 || bytesOnDisk() <= quotaBytes * quotaShareToClear;
  }

  /** True when there was one. */
  async #giveUpReserve(): Promise<boolean> {
    if (!this.#hasReserve) return false;
    const { disk, log, directory } = this.#options;
    this.#hasReserve = false;
    log.warn('the disk is full: the reserve is given up', { directory });
    await disk.remove(this.#reservePath);
    await disk.syncDirectory(directory);
    return true;
  }

  async #makeReserve(freeBytes: number): Promise<void> {
    const { disk, directory, clock } = this.#options;
    // Without room it would bring about what it is meant for.
    if (this.#hasReserve || this.#reserveBytes === 0 || freeBytes < this.#low + this.#reserveBytes) return;
    const file = await disk.open(this.#reservePath, 'create');
    await disk.syncDirectory(directory);
    try {
      // In pieces with a pause, each synced, so that the log's own syncs never wait for all of it.
      const zeros = new Uint8Array(Math.min(mebibyte, this.#reserveBytes));
      for (let offset = 0; offset < this.#reserveBytes && !this.#isStopped; offset += zeros.length) {
        await file.write(offset, [zeros]);
        await file.dataSync();
        await sleep(clock, pieceEveryMs);
      }
      this.#hasReserve = true;
    } catch (error) {
      if (!(error instanceof DiskError) || (error.code !== 'ENOSPC' && error.code !== 'EDQUOT')) throw error;
      await disk.remove(this.#reservePath);
    } finally {
      await file.close();
    }
  }
}

function isActive({ alarms, memberId }: SpaceUser): boolean {
  return alarms().some((item) => item.memberId === memberId && item.alarm === 'noSpace');
}
