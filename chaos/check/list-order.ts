/**
 * The order that lists prove between their transactions, as a graph.
 *
 *   ww  appended to the same list, one after the other      wr  read what the other one appended
 *   rw  read before the other one appended                  rt  had returned before the other one was invoked
 *
 * Appends that nobody read came after all that was: to spare an edge from every reader to each of them, they hang on two
 * chains of auxiliary nodes, one from each end, so that a transaction that is both can leave out itself. Real time is a
 * chain as well, with a node for every return.
 */
import { type EdgeKinds, Graph, type GraphEdge } from './graph.ts';
import type { ListExchange, ListStory } from './list-append.ts';

const ww = 1;
const wr = 2;
const rw = 4;
const rt = 8;
/** Within chains of unread appends; of the kind that led there. */
const tail = 16;

export const edgeKinds: ReadonlyMap<EdgeKinds, string> = new Map([
  [ww, 'ww'],
  [wr, 'wr'],
  [rw, 'rw'],
  [rt, 'rt'],
]);

export interface ListOrder {
  readonly graph: Graph;
  readonly nodes: ReadonlyMap<ListExchange, number>;
}

export function addOrder(committed: readonly ListExchange[], lists: readonly ListStory[]): ListOrder {
  const graph = new Graph();
  const nodes = new Map<ListExchange, number>();
  for (const exchange of committed) nodes.set(exchange, graph.addNode());
  for (const story of lists) addList(graph, nodes, story);
  addRealTime(graph, nodes);
  graph.finish();
  return { graph, nodes };
}

function addList(graph: Graph, nodes: ReadonlyMap<ListExchange, number>, story: ListStory): void {
  const { longest, accesses, writers } = story;
  const nodeOf = (value: string | undefined) => {
    const writer = value === undefined ? undefined : writers.get(value);
    return writer === undefined ? undefined : nodes.get(writer);
  };
  const addUnless = (from: number | undefined, to: number | undefined, kind: EdgeKinds) => {
    if (from !== undefined && to !== undefined && from !== to) graph.addEdge(from, to, kind);
  };
  for (const [position, value] of longest.entries()) addUnless(nodeOf(longest[position - 1]), nodeOf(value), ww);
  const read = new Set(longest);
  const unread = accesses.flatMap(({ exchange, own }) => {
    const node = nodes.get(exchange);
    return node !== undefined && own.some((value) => !read.has(value)) ? [node] : [];
  });
  const addTail = chainsOver(graph, unread);
  const last = nodeOf(longest.at(-1));
  if (last !== undefined) addTail(last, ww);
  for (const { exchange, base } of accesses) {
    const node = nodes.get(exchange);
    if (node === undefined || base === undefined) continue;
    addUnless(nodeOf(base.at(-1)), node, wr);
    if (base.length < longest.length) addUnless(node, nodeOf(longest[base.length]), rw);
    else addTail(node, rw);
  }
}

/** Returns what adds an edge from a node to every other one of `targets`. */
function chainsOver(graph: Graph, targets: readonly number[]): (from: number, kind: EdgeKinds) => void {
  if (targets.length === 0) return () => undefined;
  const places = new Map(targets.map((target, place) => [target, place]));
  const chain = (ordered: readonly number[]) => {
    const links = ordered.map(() => graph.addNode());
    for (const [place, link] of links.entries()) {
      graph.addEdge(link, ordered[place] as number, tail);
      const before = links[place - 1];
      if (before !== undefined) graph.addEdge(link, before, tail);
    }
    return links;
  };
  /** The link at a place reaches all targets up to there, and from there on. */
  const upTo = chain(targets);
  const downTo = chain(targets.toReversed()).toReversed();
  return (from, kind) => {
    const place = places.get(from) ?? -1;
    const [before, after] = [upTo[place - 1], downTo[place + 1]];
    if (before !== undefined) graph.addEdge(from, before, kind);
    if (after !== undefined) graph.addEdge(from, after, kind);
  };
}

function addRealTime(graph: Graph, nodes: ReadonlyMap<ListExchange, number>): void {
  const moments = [...nodes].flatMap(([exchange, node]) => {
    const call = { at: exchange.invokedAt, node, isReturn: false };
    // Whoever got no answer may have committed at any time since.
    if (exchange.outcome === undefined) return [call];
    return [call, { at: exchange.returnedAt ?? 0, node, isReturn: true }];
  });
  moments.sort((a, b) => a.at - b.at);
  let last: number | undefined;
  for (const { node, isReturn } of moments) {
    if (!isReturn) {
      if (last !== undefined) graph.addEdge(last, node, rt);
      continue;
    }
    const link = graph.addNode();
    graph.addEdge(node, link, rt);
    if (last !== undefined) graph.addEdge(last, link, rt);
    last = link;
  }
}

export interface Cycle {
  readonly name: string;
  readonly edges: readonly GraphEdge[];
}

/** Reads that missed an append which are tried as the only one of a cycle, before it is called one of several. */
const singlesMax = 2_000;

/** The worst there is. */
export function findCycle(graph: Graph): Cycle | undefined {
  if (graph.components(ww | wr | rw | rt | tail).length === 0) return undefined;
  for (const [more, suffix] of [
    [tail, ''],
    [tail | rt, '-realtime'],
  ] as const) {
    const found =
      anyCycle(graph, ww | more, 'G0') ??
      anyCycle(graph, ww | wr | more, 'G1c') ??
      singleCycle(graph, ww | wr | more) ??
      anyCycle(graph, ww | wr | rw | more, 'G2');
    if (found !== undefined) return { name: `${found.name}${suffix}`, edges: found.edges };
  }
  return undefined;
}

function anyCycle(graph: Graph, kinds: EdgeKinds, name: string): Cycle | undefined {
  const smallest = graph.components(kinds).toSorted((a, b) => a.length - b.length)[0];
  const edges = smallest === undefined ? undefined : graph.path(smallest[0] as number, smallest[0] as number, kinds);
  return edges === undefined ? undefined : { name, edges };
}

/** With one read that missed an append, and otherwise edges of `kinds`. */
function singleCycle(graph: Graph, kinds: EdgeKinds): Cycle | undefined {
  let tried = 0;
  for (const group of graph.components(kinds | rw)) {
    for (const edge of graph.edgesWithin(group, rw)) {
      if (++tried > singlesMax) return undefined;
      const back = graph.path(edge.to, edge.from, kinds);
      if (back !== undefined) return { name: 'G-single', edges: [edge, ...back] };
    }
  }
  return undefined;
}
