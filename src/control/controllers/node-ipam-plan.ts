/** Which pod address range a node gets. Pure, IPv4. */
import { assert } from '../../env/assert.ts';
import { KeelsonError } from '../../env/errors.ts';

interface Range {
  readonly first: number;
  readonly bits: number;
}

function parseCidr(cidr: string): Range {
  const match = /^(\d+)\.(\d+)\.(\d+)\.(\d+)\/(\d+)$/.exec(cidr);
  const bytes = match?.slice(1, 5).map(Number) ?? [];
  const bits = Number(match?.[5]);
  if (match === null || bytes.some((byte) => byte > 255) || bits > 32) {
    throw new KeelsonError('BAD_CIDR', `${JSON.stringify(cidr)} is not an IPv4 range such as 10.244.0.0/16`);
  }
  const first = bytes.reduce((value, byte) => value * 256 + byte, 0);
  return { first: first - (first % 2 ** (32 - bits)), bits };
}

const format = (first: number, bits: number): string =>
  `${[24, 16, 8, 0].map((shift) => Math.floor(first / 2 ** shift) % 256).join('.')}/${bits}`;

/** The lowest free range of `maskSize` bits within `clusterCidr`; undefined when all are taken. Throws BAD_CIDR. */
export function nextNodeCidr(clusterCidr: string, maskSize: number, taken: Iterable<string>): string | undefined {
  const cluster = parseCidr(clusterCidr);
  if (maskSize < cluster.bits || maskSize > 30) {
    throw new KeelsonError(
      'BAD_CIDR',
      `--node-cidr-mask-size ${maskSize} does not fit into --cluster-cidr ${clusterCidr}`,
    );
  }
  const size = 2 ** (32 - maskSize);
  const used = new Set<number>();
  for (const cidr of taken) {
    const range = parseCidr(cidr);
    const end = range.first + 2 ** (32 - range.bits);
    for (let first = range.first - (range.first % size); first < end; first += size) used.add(first);
  }
  const count = 2 ** (maskSize - cluster.bits);
  for (let index = 0; index < count; index++) {
    const first = cluster.first + index * size;
    if (!used.has(first)) {
      assert(first < 2 ** 32, 'a range must lie within the address space');
      return format(first, maskSize);
    }
  }
  return undefined;
}
