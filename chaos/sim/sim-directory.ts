/**
 * Directories of the simulated disk: the names the process sees, and the changes that a directory sync has not covered
 * yet. After a crash a prefix of those changes survives, each directory on its own, as on a journaling file system.
 */
import { assert } from '../../src/env/assert.ts';
import { DiskError } from '../../src/env/disk.ts';
import type { Random } from '../../src/env/random.ts';
import { type CrashPolicy, SimFileNode } from './sim-file.ts';

export type SimNode = SimFileNode | SimDirectory;

/** One change: every name it touches and what the name means afterwards (undefined = gone). One rename is one change. */
type Change = readonly (readonly [name: string, node: SimNode | undefined])[];

export class SimDirectory {
  readonly kind = 'directory';
  readonly #names = new Map<string, SimNode>();
  readonly #durable = new Map<string, SimNode>();
  /** Changes that no finished sync has covered, oldest first. */
  #pending: Change[] = [];

  get(name: string): SimNode | undefined {
    return this.#names.get(name);
  }

  names(): string[] {
    return [...this.#names.keys()].sort();
  }

  link(name: string, node: SimNode): void {
    this.#change([[name, node]]);
  }

  unlink(name: string): void {
    assert(this.#names.has(name), () => `${name} has to exist to be unlinked`);
    this.#change([[name, undefined]]);
  }

  renameWithin(from: string, to: string): void {
    const node = this.#names.get(from);
    assert(node, () => `${from} has to exist to be renamed`);
    this.#change([
      [from, undefined],
      [to, node],
    ]);
  }

  beginSync(): (outcome: 'done' | 'failed') => void {
    const covered = new Set(this.#pending);
    return (outcome) => {
      if (outcome === 'failed') return;
      for (const change of this.#pending) if (covered.has(change)) applyChange(this.#durable, change);
      this.#pending = this.#pending.filter((change) => !covered.has(change));
    };
  }

  crash(policy: CrashPolicy, random: Random, copies: Map<SimNode, SimNode>): SimDirectory {
    const survivors = new Map(this.#durable);
    for (const change of this.#pending.slice(0, survivingCount(this.#pending.length, policy, random))) {
      applyChange(survivors, change);
    }
    const after = new SimDirectory();
    copies.set(this, after);
    for (const name of [...survivors.keys()].sort()) {
      const node = survivors.get(name) as SimNode;
      let copy = copies.get(node);
      if (!copy) {
        copy = node instanceof SimFileNode ? node.crash(policy, random) : node.crash(policy, random, copies);
        copies.set(node, copy);
      }
      after.#names.set(name, copy);
      after.#durable.set(name, copy);
    }
    return after;
  }

  #change(change: Change): void {
    applyChange(this.#names, change);
    this.#pending.push(change);
  }
}

function applyChange(names: Map<string, SimNode>, change: Change): void {
  for (const [name, node] of change) {
    if (node) names.set(name, node);
    else names.delete(name);
  }
}

function survivingCount(count: number, policy: CrashPolicy, random: Random): number {
  if (policy === 'kept') return count;
  if (policy === 'lost') return 0;
  return random.integer(0, count);
}

/** Paths over directories. */
export class SimTree {
  readonly #root: SimDirectory;
  constructor(root: SimDirectory) {
    this.#root = root;
  }

  find(path: string): SimNode | undefined {
    let node: SimNode = this.#root;
    for (const name of partsOf(path)) {
      if (!(node instanceof SimDirectory)) return undefined;
      const next = node.get(name);
      if (!next) return undefined;
      node = next;
    }
    return node;
  }

  mustFind(operation: string, path: string): SimNode {
    const node = this.find(path);
    if (!node) throw new DiskError('ENOENT', operation, path);
    return node;
  }

  mustFindDirectory(operation: string, path: string): SimDirectory {
    const node = this.mustFind(operation, path);
    if (!(node instanceof SimDirectory)) throw new DiskError('ENOTDIR', operation, path);
    return node;
  }

  parent(operation: string, path: string): { readonly directory: SimDirectory; readonly name: string } {
    const parts = partsOf(path);
    const name = parts.pop();
    if (name === undefined) throw new DiskError('EINVAL', operation, path);
    return { directory: this.mustFindDirectory(operation, parts.join('/')), name };
  }

  makeDirectory(path: string): void {
    let directory = this.#root;
    for (const name of partsOf(path)) {
      const found = directory.get(name);
      if (found instanceof SimFileNode) throw new DiskError('EEXIST', 'makeDirectory', path);
      const next = found ?? new SimDirectory();
      if (!found) directory.link(name, next);
      directory = next;
    }
  }

  rename(from: string, to: string): void {
    const source = this.parent('rename', from);
    const target = this.parent('rename', to);
    const node = source.directory.get(source.name);
    if (!node) throw new DiskError('ENOENT', 'rename', from);
    if (target.directory.get(target.name) instanceof SimDirectory) throw new DiskError('EEXIST', 'rename', to);
    if (source.directory === target.directory) {
      source.directory.renameWithin(source.name, target.name);
      return;
    }
    // Two directories are two changes: a crash may show the file under both names, or under none.
    target.directory.link(target.name, node);
    source.directory.unlink(source.name);
  }

  remove(path: string): void {
    const { directory, name } = this.parent('remove', path);
    if (!directory.get(name)) throw new DiskError('ENOENT', 'remove', path);
    directory.unlink(name);
  }

  files(): { readonly path: string; readonly sizeBytes: number }[] {
    const found: { path: string; sizeBytes: number }[] = [];
    const visit = (directory: SimDirectory, prefix: string) => {
      for (const name of directory.names()) {
        const node = directory.get(name);
        if (node instanceof SimFileNode) found.push({ path: `${prefix}/${name}`, sizeBytes: node.size });
        else if (node) visit(node, `${prefix}/${name}`);
      }
    };
    visit(this.#root, '');
    return found;
  }

  usedBytes(): number {
    let bytes = 0;
    for (const { path } of this.files()) {
      const node = this.find(path);
      assert(node instanceof SimFileNode, () => `${path} is a file`);
      bytes += node.allocated;
    }
    return bytes;
  }

  crash(policy: CrashPolicy, random: Random): SimTree {
    return new SimTree(this.#root.crash(policy, random, new Map()));
  }
}

function partsOf(path: string): string[] {
  return path.split('/').filter((part) => part !== '' && part !== '.');
}
