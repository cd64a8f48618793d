/** From a DNS query's bytes to its answer's: pure but for `forward`. Malformed queries are answered FORMERR or dropped. */
import dnsPacket, { type Packet } from 'dns-packet';
import type { Answer, Zone } from './zone.ts';

/** What a UDP answer may hold when the client did not announce more. */
const udpBytesDefault = 512;
/** Above this an answer would be fragmented on common networks; a client that wants more asks over TCP. */
const udpBytesMax = 1232;
/** Seconds a resolver may remember that a name does not exist. */
const negativeTtlSeconds = 5;

const responseCodes = { noError: 0, formatError: 1, serverFailure: 2, noSuchName: 3, notImplemented: 4 } as const;
const authoritativeAnswer = 1 << 10;
const recursionAvailable = 1 << 7;
const truncatedResponse = 1 << 9;

export interface Transport {
  readonly kind: 'udp' | 'tcp';
}

/** Asks another server with the query's own bytes; undefined when nobody answers. */
export type Forward = (query: Uint8Array) => Promise<Uint8Array | undefined>;

/** Undefined: not even an identifier to answer to. */
export async function respond(
  query: Uint8Array,
  zone: Zone,
  forward: Forward,
  transport: Transport,
): Promise<Uint8Array | undefined> {
  if (query.length < 12) return undefined;
  let packet: Packet;
  try {
    packet = dnsPacket.decode(Buffer.from(query));
  } catch {
    return header(query, responseCodes.formatError);
  }
  if (packet.type !== 'query') return undefined;
  const question = packet.questions?.[0];
  if (packet.questions?.length !== 1 || question === undefined) return header(query, responseCodes.formatError);
  if (((query[2] as number) & 0x78) !== 0) return header(query, responseCodes.notImplemented);
  const resolution = zone.resolve(question.name, question.type);
  if (resolution.kind === 'forward') return (await forward(query)) ?? header(query, responseCodes.serverFailure);
  const code = resolution.kind === 'noSuchName' ? responseCodes.noSuchName : responseCodes.noError;
  const list = resolution.kind === 'answers' ? resolution.answers : [];
  const encode = (answers: readonly Answer[], additionals: readonly Answer[], flags: number) =>
    dnsPacket.encode({
      type: 'response',
      id: packet.id ?? 0,
      flags:
        authoritativeAnswer | recursionAvailable | ((packet.flags ?? 0) & dnsPacket.RECURSION_DESIRED) | code | flags,
      questions: [question],
      answers: answers as never,
      additionals: additionals as never,
      ...(answers.length === 0 && flags === 0 ? { authorities: [startOfAuthority(zone.domain)] } : {}),
    });
  const whole = encode(list, resolution.kind === 'answers' ? resolution.additionals : [], 0);
  return transport.kind === 'tcp' || whole.length <= udpLimit(packet) ? whole : encode([], [], truncatedResponse);
}

function udpLimit(packet: Packet): number {
  const extension = packet.additionals?.find((record) => record.type === 'OPT') as
    | { udpPayloadSize?: number }
    | undefined;
  return Math.min(Math.max(extension?.udpPayloadSize ?? udpBytesDefault, udpBytesDefault), udpBytesMax);
}

/** An answer that repeats the question's header and nothing else. */
function header(query: Uint8Array, code: number): Uint8Array {
  const answer = Buffer.alloc(12);
  answer.set(query.subarray(0, 2));
  answer[2] = 0x80 | ((query[2] as number) & 0x79);
  answer[3] = (recursionAvailable & 0xff) | code;
  return answer;
}

function startOfAuthority(domain: string) {
  return {
    name: domain,
    type: 'SOA' as const,
    ttl: negativeTtlSeconds,
    data: {
      mname: `ns.dns.${domain}`,
      rname: `hostmaster.${domain}`,
      serial: 1,
      refresh: 7200,
      retry: 1800,
      expire: 86_400,
      minimum: negativeTtlSeconds,
    },
  };
}
