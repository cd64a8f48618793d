/** Nodes and events in the JSON of etcd's first API. */
import type { Change, Listing, V2Tree } from './tree.ts';
import type { V2Node } from './records.ts';

const secondMs = 1000;

interface NodeJson {
  key?: string;
  value?: string;
  dir?: true;
  expiration?: string;
  ttl?: number;
  nodes?: NodeJson[];
  modifiedIndex?: number;
  createdIndex?: number;
}

export class NodeWriter {
  readonly #tree: V2Tree;
  readonly #wallMs: () => number;

  constructor(tree: V2Tree, wallMs: () => number) {
    this.#tree = tree;
    this.#wallMs = wallMs;
  }

  async change({ action, node, prevNode }: Change): Promise<object> {
    const isGone = action === 'delete' || action === 'compareAndDelete';
    const plain = isGone ? withoutContent(node) : await this.node(node);
    return { action, node: plain, ...(prevNode ? { prevNode: await this.node(prevNode) } : {}) };
  }

  /** A file, or a directory with what is in it: one level, or all. */
  async listing({ node, under }: Listing, isRecursive: boolean): Promise<object> {
    const root: NodeJson = node ? await this.node(node) : { dir: true };
    const byPath = new Map([[node?.path ?? '', root]]);
    const depth = depthOf(node?.path ?? '') + 1;
    // A directory comes before what lies in it, as its path is shorter and begins alike.
    for (const each of under) {
      if (!isRecursive && depthOf(each.path) > depth) continue;
      const json = await this.node(each);
      byPath.set(each.path, json);
      const parent = byPath.get(each.path.slice(0, each.path.lastIndexOf('/')));
      if (parent) (parent.nodes ??= []).push(json);
    }
    return { action: 'get', node: ordered(root) };
  }

  async node(node: V2Node): Promise<NodeJson> {
    const { path: key, modifiedIndex, createdIndex } = node;
    const content = node.isDirectory ? { dir: true as const } : { value: node.value };
    const ttl = await this.#tree.ttlSeconds(node.lease);
    const end = ttl === undefined ? {} : { expiration: new Date(this.#wallMs() + ttl * secondMs).toISOString(), ttl };
    return { key, ...content, ...end, modifiedIndex, createdIndex };
  }
}

function withoutContent({ path: key, isDirectory, modifiedIndex, createdIndex }: V2Node): NodeJson {
  return { key, ...(isDirectory ? { dir: true as const } : {}), modifiedIndex, createdIndex };
}

function depthOf(path: string): number {
  return path.split('/').length - 1;
}

/** `nodes` before the indexes, as etcd writes them; children by their names. */
function ordered(json: NodeJson): NodeJson {
  const { nodes, modifiedIndex, createdIndex, ...rest } = json;
  const children = nodes?.map(ordered).sort((a, b) => ((a.key ?? '') < (b.key ?? '') ? -1 : 1));
  return {
    ...rest,
    ...(children ? { nodes: children } : {}),
    ...(modifiedIndex === undefined ? {} : { modifiedIndex }),
    ...(createdIndex === undefined ? {} : { createdIndex }),
  };
}
