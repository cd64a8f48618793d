/**
 * A file system of a member's own: ext4 on a loop device over a file in the world's directory, small, so that it can be
 * filled; apart from everybody else's, so that it can stand still or break.
 *
 *   full      a file takes all the room there is
 *   frozen    writes wait until it is thawed (FIFREEZE)
 *   broken    every operation fails with EIO, and what was not synced is lost (FS_IOC_SHUTDOWN): as with a disk that was
 *             pulled out, or with power that failed
 */
import { appendFile, rm, statfs } from 'node:fs/promises';
import type { Env } from '../../src/env/env.ts';
import { command, unfit } from './machine.ts';
import { Turns } from './turns.ts';

type DiskEnv = Pick<Env, 'disk' | 'processes'>;

/** What a scenario of some minutes writes fits in; the file behind it is sparse. */
const sizeMebibytes = 1_024;
const blockBytes = 4096;

/** _IOR('X', 125, __u32), and "without writing out the journal": linux/fs.h and ext4's own words. */
const shutdownRequest = '0x8004587d';
const shutdownAtOnce = '2';
/** Node has no ioctl; perl is on every machine that has mkfs. */
const shutdownScript =
  'open(my $fs, "<", $ARGV[0]) or die "open: $!\\n"; my $how = pack("L", $ARGV[2]); ioctl($fs, hex($ARGV[1]), $how) or die "ioctl: $!\\n";';

export const diskPrograms = [
  { name: 'mkfs.ext4', package: 'e2fsprogs' },
  { name: 'mount', package: 'mount' },
  { name: 'fsfreeze', package: 'util-linux' },
  { name: 'fallocate', package: 'util-linux' },
  { name: 'perl', package: 'perl-base' },
] as const;

export class MemberDisk {
  readonly #env: DiskEnv;
  readonly #mountPoint: string;
  readonly #image: string;
  readonly #turns = new Turns();
  #isBroken = false;
  #isFrozen = false;

  constructor(env: DiskEnv, mountPoint: string) {
    this.#env = env;
    this.#mountPoint = mountPoint;
    this.#image = `${mountPoint}.img`;
  }

  get isBroken(): boolean {
    return this.#isBroken;
  }

  /** Makes it, empty, and mounts it at the mount point, which exists. */
  async make(): Promise<void> {
    await command(this.#env, ['truncate', '-s', `${sizeMebibytes}M`, this.#image]);
    // Nothing is kept back for root: full means full.
    await command(this.#env, ['mkfs.ext4', '-q', '-F', '-m', '0', this.#image]);
    await this.#mount().catch((error: unknown) => {
      throw unfit(`loop devices (${String(error)})`, error);
    });
  }

  async #mount(): Promise<void> {
    await command(this.#env, ['mount', '-o', 'loop', this.#image, this.#mountPoint]);
  }

  /** Takes all the room there is now; what others free later is free. */
  async fill(): Promise<void> {
    if (this.#isBroken) return;
    const { bavail, bsize } = await statfs(this.#mountPoint);
    const filler = this.#filler();
    // Room that is promised is as good as taken, and costs no writes. It fails when some of it went meanwhile.
    if (bavail > 0) {
      const args = ['--length', String(bavail * bsize), filler];
      await this.#env.processes.run('fallocate', args, { timeoutMs: 20_000 });
    }
    for (let pieces = 0; pieces < (sizeMebibytes * 1024 * 1024) / blockBytes; pieces++) {
      const isFull = await appendFile(filler, Buffer.alloc(blockBytes)).then(
        () => false,
        (error: NodeJS.ErrnoException) => {
          if (error.code === 'ENOSPC') return true;
          throw error;
        },
      );
      if (isFull) return;
    }
  }

  /** Gives the room back; fine when none was taken. */
  async free(): Promise<void> {
    if (!this.#isBroken) await rm(this.#filler(), { force: true });
  }

  #filler(): string {
    return `${this.#mountPoint}/filler`;
  }

  /** Writes wait from now on. */
  freeze(): Promise<void> {
    return this.#inTurn(async () => {
      if (this.#isBroken || this.#isFrozen) return;
      await command(this.#env, ['fsfreeze', '--freeze', this.#mountPoint]);
      this.#isFrozen = true;
    });
  }

  thaw(): Promise<void> {
    return this.#inTurn(() => this.#thaw());
  }

  async #thaw(): Promise<void> {
    if (!this.#isFrozen) return;
    await command(this.#env, ['fsfreeze', '--unfreeze', this.#mountPoint]);
    this.#isFrozen = false;
  }

  /** Every operation fails from now on, and what was not synced is gone. */
  break(): Promise<void> {
    return this.#inTurn(async () => {
      if (this.#isBroken) return;
      await this.#thaw();
      await command(this.#env, ['perl', '-e', shutdownScript, this.#mountPoint, shutdownRequest, shutdownAtOnce]);
      this.#isBroken = true;
    });
  }

  /** Mounts it anew, with what had been synced. Nobody uses it now. */
  repair(): Promise<void> {
    return this.#inTurn(async () => {
      if (!this.#isBroken) return;
      await command(this.#env, ['umount', this.#mountPoint]);
      await this.#mount();
      this.#isBroken = false;
      await this.free();
    });
  }

  /** Its states are changed one after the other. */
  async #inTurn(action: () => Promise<void>): Promise<void> {
    await this.#turns.take(action);
  }
}
