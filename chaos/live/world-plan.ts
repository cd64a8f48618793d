/**
 * Where everything of a live world is: pure data, so that whoever cleans up after it knows every name from the id alone.
 *
 * A member listens for peers at its own address, and tells the others another one, its face. The faces belong to the
 * bridge, where the link proxy answers for them: whatever members tell each other passes there, and each way between two
 * of them is seen by its pair of addresses.
 *
 *   machine x.1 ── bridge x.201 (face of m1), x.202, … ──┬── m1 x.11
 *                                                        └── m2 x.12, …
 *
 *   m1 x.11 ──► x.202 proxy x.201 ──► m2 x.12       (m1 has called m2)
 */
import { assert } from '../../src/env/assert.ts';
import type { Link } from './contract.ts';

export interface PlannedMember {
  readonly name: string;
  readonly namespace: string;
  /** Its own: clients find it there, and the proxy. */
  readonly address: string;
  /** What it tells the other members. */
  readonly face: string;
  /** Of its data, its log and its file system. */
  readonly directory: string;
  readonly logFile: string;
}

export interface WorldPlan {
  /** Six hex digits; part of every name on the machine that belongs to the world. */
  readonly id: string;
  readonly directory: string;
  readonly lanNamespace: string;
  /** The machine's own end of the LAN; interface names hold 15 characters. */
  readonly hostInterface: string;
  readonly hostAddress: string;
  readonly members: readonly PlannedMember[];
}

export const membersMax = 7;
export const clientPort = 2379;
export const peerPort = 2380;

export function isWorldId(text: string): boolean {
  return /^[0-9a-f]{6}$/.test(text);
}

/** Every namespace of the world begins so. */
export function namespacePrefix(id: string): string {
  return `kchaos-${id}-`;
}

export function hostInterface(id: string): string {
  return `kchaos-${id}`;
}

export function worldDirectory(temporaryDirectory: string, id: string): string {
  return `${temporaryDirectory}/keelson-chaos-${id}`;
}

/** `subnet`: the first three octets of a /24. */
export function planWorld(options: {
  readonly id: string;
  readonly directory: string;
  readonly subnet: string;
  readonly members: number;
}): WorldPlan {
  const { id, directory, subnet, members } = options;
  assert(isWorldId(id), 'the id of a world is six hex digits');
  assert(members >= 1 && members <= membersMax, 'the number of members was checked');
  return {
    id,
    directory,
    lanNamespace: `${namespacePrefix(id)}lan`,
    hostInterface: hostInterface(id),
    hostAddress: `${subnet}.1`,
    members: Array.from({ length: members }, (_, index) => {
      const name = `m${index + 1}`;
      return {
        name,
        namespace: `${namespacePrefix(id)}${name}`,
        address: `${subnet}.${11 + index}`,
        face: `${subnet}.${201 + index}`,
        directory: `${directory}/${name}`,
        logFile: `${directory}/${name}.log`,
      };
    }),
  };
}

/** Every way from one member to another. */
export function allLinks(members: number): readonly Link[] {
  return Array.from({ length: members * members }, (_, place) => ({
    from: Math.floor(place / members),
    to: place % members,
  })).filter(({ from, to }) => from !== to);
}
