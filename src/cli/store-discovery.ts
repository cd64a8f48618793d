/**
 * How the first members of a cluster find each other when no flag names them: by SRV records of a domain, or under a token
 * in another store. Asked once, when the data directory is empty; what was found is in the directory from then on.
 *
 * A store that introduces members holds, as etcd's discovery does:
 *
 *   /_etcd/registry/<token>/_config/size        how many they will be, put there by whoever makes the token
 *   /_etcd/registry/<token>/members/<id>        name=url of each, in the order in which they came
 */
import { assert } from '../env/assert.ts';
import { type Clock, sleep } from '../env/clock.ts';
import { errorText, KeelsonError } from '../env/errors.ts';
import type { Log } from '../env/log.ts';
import type { Names } from '../env/names.ts';
import type { KvClient, KeyValue } from '../kv/index.ts';
import { type InitialMember, memberIdOf, parseInitialCluster } from '../kv/server/cluster-config.ts';
import { sameAddress } from '../rpc/tls/rules.ts';
import { parseListenUrl } from '../rpc/tls/listen-urls.ts';

export interface Self {
  readonly name: string;
  readonly peerUrls: readonly string[];
}

const fail = (what: string, cause?: unknown) =>
  new KeelsonError('DISCOVERY_FAILED', `discovery failed: ${what}`, { cause });

/** `https` records first, then `http`; a member is called by its place among them, this one by its own name. */
export async function discoverByNames(
  names: Names,
  self: Self,
  { domain, serviceName }: { readonly domain: string; readonly serviceName: string },
): Promise<readonly InitialMember[]> {
  const ending = serviceName === '' ? '' : `-${serviceName}`;
  const members: string[] = [];
  const failures: string[] = [];
  for (const [scheme, service] of [
    ['https', 'etcd-server-ssl'],
    ['http', 'etcd-server'],
  ] as const) {
    const record = `_${service}${ending}._tcp.${domain}`;
    try {
      for (const { host, port } of await names.services(record)) {
        const url = `${scheme}://${host.replace(/\.$/, '')}:${port}`;
        const isSelf = await isOwn(names, self, url);
        members.push(`${isSelf ? self.name : members.length}=${isSelf ?? url}`);
      }
    } catch (error) {
      failures.push(`${record}: ${errorText(error)}`);
    }
  }
  if (members.length === 0)
    throw fail(`no SRV record names a member (${failures.join('; ')}): add records for ${domain}`);
  const found = parseInitialCluster(members.join(','));
  if (!found.some(({ name }) => name === self.name)) {
    throw fail(
      `cannot find local member ${JSON.stringify(self.name)} in SRV records ${members.join(',')}: give an --initial-advertise-peer-urls that is among them`,
    );
  }
  return found;
}

/** The own peer URL that this one leads to, as it is written in the flags: ids are made of that. */
async function isOwn(names: Names, { peerUrls }: Self, url: string): Promise<string | undefined> {
  const same = peerUrls.find((own) => own.replace(/\/$/, '') === url);
  if (same !== undefined) return same;
  const there = await resolve(names, url);
  for (const own of peerUrls) {
    if (new URL(own).protocol !== new URL(url).protocol) continue;
    const here = await resolve(names, own);
    if (here.port === there.port && here.addresses.some((a) => there.addresses.some((b) => sameAddress(a, b))))
      return own;
  }
  return undefined;
}

async function resolve(names: Names, url: string) {
  const { address } = parseListenUrl(url);
  if (address.kind === 'unix') return { port: 0, addresses: [] };
  // A name that nobody knows is not this member's.
  const addresses = await names.addresses(address.host).catch(() => []);
  return { port: address.port, addresses };
}

export interface StoreDiscovery {
  readonly client: Pick<KvClient, 'range' | 'put'>;
  readonly clock: Clock;
  readonly log: Log;
  readonly token: string;
  readonly requestTimeoutMs: number;
  readonly signal?: AbortSignal;
}

/** Another look for members that are not there yet. Whoever waits for a machine to be switched on waits longer. */
const lookAgainMs = 1_000;

interface Found {
  readonly size: number;
  /** `name=url` by registered key, oldest first. */
  readonly members: readonly { readonly key: string; readonly text: string }[];
}

/** Registers this member under the token and waits until all are there. Rejects with DISCOVERY_FAILED. */
export async function discoverInStore(discovery: StoreDiscovery, self: Self): Promise<readonly InitialMember[]> {
  const { client, clock, log, token, requestTimeoutMs, signal } = discovery;
  const prefix = `/_etcd/registry/${token}`;
  const id = memberIdOf(self.peerUrls, token).toString(16);
  const ownKey = `${prefix}/members/${id}`;
  const text = self.peerUrls.map((url) => `${self.name}=${url}`).join(',');
  let found = await look(discovery, prefix);
  if (placeOf(found, ownKey) >= found.size) throw full(found, token);
  if (!found.members.some(({ key }) => key === ownKey)) {
    await client
      .put({ key: encode(ownKey), value: encode(text) }, { timeoutMs: requestTimeoutMs })
      .catch((error: unknown) => {
        throw fail(`register under ${ownKey}: ${errorText(error)}: check --discovery-endpoints`, error);
      });
    log.info('registered this member with the discovery service', { key: ownKey, member: text });
  }
  for (;;) {
    found = await look(discovery, prefix);
    if (placeOf(found, ownKey) >= found.size) throw full(found, token);
    if (found.members.length >= found.size) break;
    log.info('waiting for peers from discovery service', { size: found.size, found: found.members.length });
    await sleep(clock, lookAgainMs, signal);
  }
  const first = found.members.slice(0, found.size);
  assert(
    first.some(({ key }) => key === ownKey),
    'a cluster that was joined has this member',
  );
  log.info('discovery joined cluster successfully', { members: first.map((member) => member.text) });
  return parseInitialCluster(first.map((member) => member.text).join(','));
}

/** Behind everybody when it is not registered yet. */
function placeOf({ members }: Found, key: string): number {
  const place = members.findIndex((member) => member.key === key);
  return place < 0 ? members.length : place;
}

function full({ size }: Found, token: string): KeelsonError {
  return fail(`cluster ${token} is full: its ${size} members have registered: make a new token`);
}

async function look({ client, requestTimeoutMs }: StoreDiscovery, prefix: string): Promise<Found> {
  const options = { timeoutMs: requestTimeoutMs };
  const sizeKey = `${prefix}/_config/size`;
  const start = `${prefix}/members/`;
  try {
    const size = await client.range({ key: encode(sizeKey) }, options);
    const value = size.kvs[0];
    if (!value) throw fail(`size key not found: put the number of members under ${sizeKey}`);
    const count = Number(decode(value.value));
    if (!Number.isSafeInteger(count) || count <= 0)
      throw fail(
        `size key is bad: ${sizeKey} holds ${JSON.stringify(decode(value.value))}, want the number of members`,
      );
    // The end of a prefix is the prefix with its last byte one higher: `/` becomes `0`.
    const listed = await client.range({ key: encode(start), rangeEnd: encode(`${prefix}/members0`) }, options);
    return { size: count, members: inOrder(listed.kvs) };
  } catch (error) {
    if (error instanceof KeelsonError && error.code === 'DISCOVERY_FAILED') throw error;
    throw fail(`ask for ${prefix}: ${errorText(error)}: check --discovery-endpoints`, error);
  }
}

function inOrder(kvs: readonly KeyValue[]): Found['members'] {
  const sorted = [...kvs].sort((a, b) => a.createRevision - b.createRevision);
  return sorted
    .map((kv) => ({ key: decode(kv.key), text: decode(kv.value).trim() }))
    .filter(({ text }) => text.includes('='));
}

const encode = (text: string) => new TextEncoder().encode(text);
const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
