/**
 * The real world. The only file of src/ that touches the clock, timers, randomness, the disk and other processes
 * directly; network sockets are opened by the adapters named in the layering rules.
 */
import { spawn as spawnProcess } from 'node:child_process';
import { randomBytes, randomInt, randomUUID } from 'node:crypto';
import { openSync, writeSync } from 'node:fs';
import dns from 'node:dns/promises';
import * as fs from 'node:fs/promises';
import { pino } from 'pino';
import type { Clock } from './clock.ts';
import { type Disk, DiskError, type DiskFile, type DiskLock } from './disk.ts';
import type { Env } from './env.ts';
import type { Log, LogFields } from './log.ts';
import type { Names } from './names.ts';
import type { ChildProcess, Processes } from './process.ts';
import type { Random } from './random.ts';

export const realClock: Clock = {
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
  after(delayMs, callback) {
    const timer = setTimeout(callback, delayMs);
    return () => clearTimeout(timer);
  },
  every(periodMs, callback) {
    const timer = setInterval(callback, periodMs);
    return () => clearInterval(timer);
  },
};

export const realRandom: Random = {
  next: () => randomInt(0, 2 ** 47) / 2 ** 47,
  integer: (min, max) => randomInt(min, max + 1),
  bytes: (length) => randomBytes(length),
  uuid: () => randomUUID(),
};

async function disk<T>(operation: string, path: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'EIO';
    throw new DiskError(code, operation, path, { cause: error });
  }
}

/**
 * A write this small goes to the page cache, which is a copy of some microseconds; handing it to a thread and hearing of its
 * end costs several times that, twice for every sync of the log. What takes time is the sync, and that is never done here.
 */
const writtenAtOnceMax = 128 * 1024;

const openFlags = { open: 'r+', create: 'wx+', read: 'r' } as const;

class RealFile implements DiskFile {
  readonly path: string;
  readonly #handle: fs.FileHandle;
  constructor(path: string, handle: fs.FileHandle) {
    this.path = path;
    this.#handle = handle;
  }
  size(): Promise<number> {
    return disk('stat', this.path, async () => (await this.#handle.stat()).size);
  }
  read(offset: number, length: number): Promise<Uint8Array> {
    return disk('read', this.path, async () => {
      // What was not filled is not handed out.
      const buffer = Buffer.allocUnsafeSlow(length);
      return buffer.subarray(0, await this.#fill(buffer, offset));
    });
  }
  readInto(offset: number, target: Uint8Array): Promise<number> {
    return disk('read', this.path, () => this.#fill(target, offset));
  }
  async #fill(target: Uint8Array, offset: number): Promise<number> {
    let filled = 0;
    while (filled < target.length) {
      const { bytesRead } = await this.#handle.read(target, filled, target.length - filled, offset + filled);
      if (bytesRead === 0) break;
      filled += bytesRead;
    }
    return filled;
  }
  write(offset: number, chunks: readonly Uint8Array[]): Promise<void> {
    return disk('write', this.path, async () => {
      // One contiguous buffer: a short writev would have to be resumed in the middle of a chunk.
      const bytes = chunks.length === 1 ? (chunks[0] as Uint8Array) : Buffer.concat(chunks);
      let written = 0;
      while (written < bytes.length) {
        const place = [bytes, written, bytes.length - written, offset + written] as const;
        written +=
          bytes.length <= writtenAtOnceMax
            ? writeSync(this.#handle.fd, ...place)
            : (await this.#handle.write(...place)).bytesWritten;
      }
    });
  }
  truncate(length: number): Promise<void> {
    return disk('truncate', this.path, () => this.#handle.truncate(length));
  }
  dataSync(): Promise<void> {
    return disk('fdatasync', this.path, () => this.#handle.datasync());
  }
  close(): Promise<void> {
    return disk('close', this.path, () => this.#handle.close());
  }
}

export const realDisk: Disk = {
  open: (path, mode) => disk('open', path, async () => new RealFile(path, await fs.open(path, openFlags[mode], 0o600))),
  readFile: (path) => disk('read', path, () => fs.readFile(path)),
  list: (path) => disk('list', path, async () => (await fs.readdir(path)).sort()),
  makeDirectory: (path) =>
    disk('mkdir', path, async () => {
      await fs.mkdir(path, { recursive: true, mode: 0o700 });
    }),
  rename: (from, to) => disk('rename', from, () => fs.rename(from, to)),
  remove: (path) => disk('remove', path, () => fs.rm(path, { recursive: true })),
  exists: async (path) =>
    fs.access(path).then(
      () => true,
      () => false,
    ),
  syncDirectory: (path) =>
    disk('fsync', path, async () => {
      const handle = await fs.open(path, 'r');
      try {
        await handle.sync();
      } finally {
        await handle.close();
      }
    }),
  freeBytes: (path) =>
    disk('statfs', path, async () => {
      const stats = await fs.statfs(path);
      return stats.bavail * stats.bsize;
    }),
  totalBytes: (path) =>
    disk('statfs', path, async () => {
      const stats = await fs.statfs(path);
      return stats.blocks * stats.bsize;
    }),
  lock: (path) => disk('lock', path, () => lockFile(path)),
};

/** SQLite's result code for a database that somebody else has locked. */
const sqliteBusy = 5;

/**
 * Node has no file locks of its own, but the SQLite that is built into it locks its files with the kernel's (fcntl): they
 * end with the process, hold across network and process namespaces, and SQLite itself keeps a second holder in the same
 * process out. Nothing is ever written to the file. Rejected: a file with a process id (it outlives its process, ids are
 * used again, and containers do not see each other's), a unix socket in the abstract namespace (each network namespace has
 * one of its own), one with a path (a left one must be removed, and two who do so at once both succeed), the `flock`
 * program (not on every machine).
 */
async function lockFile(path: string): Promise<DiskLock> {
  const { DatabaseSync } = await import('node:sqlite');
  // Made here for its permissions; SQLite opens what exists.
  const handle = await fs.open(path, 'a', 0o600);
  await handle.close();
  const database = new DatabaseSync(path, { timeout: 0 });
  try {
    // A journal in memory, so that no second file appears beside the lock.
    database.exec('PRAGMA journal_mode=MEMORY; PRAGMA locking_mode=EXCLUSIVE; BEGIN EXCLUSIVE');
  } catch (error) {
    database.close();
    const isBusy = (error as { readonly errcode?: number }).errcode === sqliteBusy;
    throw Object.assign(new Error(`lock ${path}`, { cause: error }), { code: isBusy ? 'EBUSY' : 'EIO' });
  }
  return {
    path,
    release: () =>
      disk('unlock', path, async () => {
        if (database.isOpen) database.close();
      }),
  };
}

export const realProcesses: Processes = {
  signal(target, signal) {
    try {
      return process.kill(target, signal);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
      throw error;
    }
  },
  run(command, args, options = {}) {
    return new Promise((resolve, reject) => {
      const child = spawnProcess(command, [...args], {
        stdio: ['pipe', 'pipe', 'pipe'],
        ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
        env: { ...process.env, ...options.env },
      });
      const out: Buffer[] = [];
      const err: Buffer[] = [];
      let timedOut = false;
      const timer =
        options.timeoutMs === undefined
          ? undefined
          : setTimeout(() => {
              timedOut = true;
              child.kill('SIGKILL');
            }, options.timeoutMs);
      child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
      child.stderr.on('data', (chunk: Buffer) => err.push(chunk));
      // A program that does not read its input closes the pipe; its exit code tells whether that mattered.
      child.stdin.on('error', () => undefined);
      child.on('error', (error) => {
        clearTimeout(timer);
        reject(error);
      });
      child.on('close', (code) => {
        clearTimeout(timer);
        resolve({
          exitCode: timedOut || code === null ? -1 : code,
          stdout: Buffer.concat(out).toString(),
          stderr: Buffer.concat(err).toString(),
        });
      });
      child.stdin.end(options.input ?? '');
    });
  },
  spawn(command, args, options = {}): ChildProcess {
    const output = options.logFile === undefined ? 'inherit' : openSync(options.logFile, 'a', 0o600);
    const child = spawnProcess(command, [...args], {
      stdio: ['ignore', output, output],
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      env: { ...process.env, ...options.env },
      detached: options.detached ?? false,
    });
    if (options.detached) child.unref();
    const exited = new Promise<{ code: number | null; signal: string | null }>((resolve) => {
      child.on('error', () => resolve({ code: 127, signal: null }));
      child.on('exit', (code, signal) => resolve({ code, signal }));
    });
    return {
      pid: child.pid ?? -1,
      exited,
      kill: (signal) => {
        child.kill(signal);
      },
    };
  },
};

/** The resolver of the system: its hosts file for hosts, its name servers for services. */
export const realNames: Names = {
  addresses: async (host) => (await dns.lookup(host, { all: true })).map(({ address }) => address),
  hosts: async (address) => {
    const { hostname } = await dns.lookupService(address, 0);
    // What has no name comes back as itself.
    return hostname === address ? [] : [hostname];
  },
  services: async (name) => {
    const records = await dns.resolveSrv(name);
    const byRank = records.sort((a, b) => a.priority - b.priority || b.weight - a.weight);
    return byRank.map(({ name: host, port }) => ({ host, port }));
  },
};

/** JSON lines on standard error, as etcd and the Kubernetes components write them. */
export function realLog(
  level: 'debug' | 'info' | 'warn' | 'error' | 'fatal' = 'info',
  options: {
    readonly write?: (line: string) => void;
    readonly caller?: string;
    /** Asked for each line, beyond `level`: what is below it now is dropped. */
    readonly isOn?: (level: 'debug' | 'info' | 'warn' | 'error') => boolean;
  } = {},
): Log {
  const { write, caller, isOn = () => true } = options;
  const logger = pino(
    {
      level,
      base: caller === undefined ? null : { caller },
      messageKey: 'msg',
      timestamp: () => `,"ts":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
    },
    write ? { write } : pino.destination({ fd: 2, sync: true }),
  );
  const wrap = (inner: typeof logger): Log => ({
    debug: (message, fields?: LogFields) => isOn('debug') && inner.debug(fields ?? {}, message),
    info: (message, fields?: LogFields) => isOn('info') && inner.info(fields ?? {}, message),
    warn: (message, fields?: LogFields) => isOn('warn') && inner.warn(fields ?? {}, message),
    error: (message, fields?: LogFields) => isOn('error') && inner.error(fields ?? {}, message),
    with: (fields) => wrap(inner.child(fields)),
  });
  return wrap(logger);
}

/** The world of a composition root. */
export function realEnv(level?: 'debug' | 'info' | 'warn' | 'error'): Env {
  return { clock: realClock, random: realRandom, disk: realDisk, processes: realProcesses, log: realLog(level) };
}
