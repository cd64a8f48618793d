/**
 * Directed graphs with kinds of edges, and the cycles in them. Nodes are numbers. Costs a few passes over all edges, also for
 * hundreds of thousands; only where there are cycles a shortest one is looked for.
 */
import { assert } from '../../src/env/assert.ts';

/** Kinds are bits, so that a set of them is a number. */
export type EdgeKinds = number;

export interface GraphEdge {
  readonly from: number;
  readonly to: number;
  readonly kind: EdgeKinds;
}

export class Graph {
  readonly #from: number[] = [];
  readonly #to: number[] = [];
  readonly #kinds: EdgeKinds[] = [];
  #nodes = 0;
  /** Edges by where they begin: of node n, those from `#begin[n]` to `#begin[n + 1]`. */
  #begin = new Uint32Array(0);
  #sorted = new Uint32Array(0);

  addNode(): number {
    return this.#nodes++;
  }

  addEdge(from: number, to: number, kind: EdgeKinds): void {
    assert(from < this.#nodes && to < this.#nodes, 'edges are between nodes of this graph');
    this.#from.push(from);
    this.#to.push(to);
    this.#kinds.push(kind);
  }

  /** To be called once all edges are there, before anything is asked. */
  finish(): void {
    this.#begin = new Uint32Array(this.#nodes + 1);
    for (const from of this.#from) (this.#begin[from + 1] as number)++;
    for (let node = 0; node < this.#nodes; node++) (this.#begin[node + 1] as number) += this.#begin[node] as number;
    this.#sorted = new Uint32Array(this.#from.length);
    const next = this.#begin.slice();
    for (let edge = 0; edge < this.#from.length; edge++)
      this.#sorted[(next[this.#from[edge] as number] as number)++] = edge;
  }

  /** Groups of nodes that all reach each other by edges of these kinds; only groups of two and more. (Tarjan.) */
  components(kinds: EdgeKinds): readonly (readonly number[])[] {
    const found: number[][] = [];
    const order = new Int32Array(this.#nodes).fill(-1);
    const low = new Int32Array(this.#nodes);
    const isOpen = new Uint8Array(this.#nodes);
    const open: number[] = [];
    const path: number[] = [];
    const cursor = this.#begin.slice();
    let count = 0;
    const enter = (node: number) => {
      order[node] = low[node] = count++;
      isOpen[node] = 1;
      open.push(node);
      path.push(node);
    };
    for (let root = 0; root < this.#nodes; root++) {
      if (order[root] !== -1) continue;
      enter(root);
      while (path.length > 0) {
        const node = path.at(-1) as number;
        const place = (cursor[node] as number)++;
        if (place < (this.#begin[node + 1] as number)) {
          const edge = this.#sorted[place] as number;
          if (((this.#kinds[edge] as number) & kinds) === 0) continue;
          const to = this.#to[edge] as number;
          if (order[to] === -1) enter(to);
          else if (isOpen[to] === 1) low[node] = Math.min(low[node] as number, order[to] as number);
          continue;
        }
        path.pop();
        const parent = path.at(-1);
        if (parent !== undefined) low[parent] = Math.min(low[parent] as number, low[node] as number);
        if (low[node] === order[node]) {
          const group = open.splice(open.lastIndexOf(node));
          for (const one of group) isOpen[one] = 0;
          if (group.length > 1) found.push(group);
        }
      }
    }
    return found;
  }

  /** A shortest way from `from` to `to` by edges of these kinds. Of a node to itself: the shortest cycle. */
  path(from: number, to: number, kinds: EdgeKinds): readonly GraphEdge[] | undefined {
    const cameBy = new Map<number, number>();
    let border = [from];
    while (border.length > 0) {
      const next: number[] = [];
      for (const node of border) {
        for (const edge of this.#edgesOf(node)) {
          if (((this.#kinds[edge] as number) & kinds) === 0) continue;
          const reached = this.#to[edge] as number;
          if (cameBy.has(reached)) continue;
          cameBy.set(reached, edge);
          if (reached === to) return this.#wayBack(from, to, cameBy);
          next.push(reached);
        }
      }
      border = next;
    }
    return undefined;
  }

  /** Edges of a kind within a group of nodes. */
  edgesWithin(group: readonly number[], kinds: EdgeKinds): readonly GraphEdge[] {
    const inside = new Set(group);
    return group.flatMap((node) =>
      this.#edgesOf(node)
        .filter((edge) => ((this.#kinds[edge] as number) & kinds) !== 0 && inside.has(this.#to[edge] as number))
        .map((edge) => this.#edge(edge)),
    );
  }

  #edgesOf(node: number): readonly number[] {
    return [...this.#sorted.subarray(this.#begin[node], this.#begin[node + 1])];
  }

  #wayBack(from: number, to: number, cameBy: ReadonlyMap<number, number>): readonly GraphEdge[] {
    const way: GraphEdge[] = [];
    let node = to;
    do {
      const edge = this.#edge(cameBy.get(node) as number);
      way.unshift(edge);
      node = edge.from;
    } while (node !== from);
    return way;
  }

  #edge(edge: number): GraphEdge {
    return { from: this.#from[edge] as number, to: this.#to[edge] as number, kind: this.#kinds[edge] as number };
  }
}
