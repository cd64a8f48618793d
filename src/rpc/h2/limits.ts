/** Every limit of the HTTP/2 server that is not an option, each with its reason. */

const kib = 1024;
const mib = 1024 * kib;

/** Frames either way. The protocol's least: larger ones would let one stream hold up the others for longer. */
export const frameBytesMax = 16 * kib;

/**
 * What a client may send on one stream before it must wait: etcd's largest request at its default limit fits, so that no
 * request costs a second round trip.
 */
export const streamWindowBytes = 2 * mib;
/** What a client may send on all streams before it must wait: fills a link of 1 Gbit/s at 100 ms. */
export const connectionWindowBytes = 16 * mib;
/** Windows are given back in steps of an eighth: fewer frames than one for each request, long before they run out. */
export const windowStepShare = 8;
/**
 * Bytes of unfinished or unread requests of one connection. Windows are given back while a message is put together, as
 * else many half-sent messages would block each other for ever; so something else must bound them.
 */
export const heldBytesMax = 64 * mib;

/** Answers of one stream that wait before `write` says that it is full: enough to keep a fast link busy. */
export const streamQueueBytesHigh = 256 * kib;
export const streamQueueBytesLow = 64 * kib;
/** Answers of one connection that wait before every stream's `write` says so, and before new calls are refused. */
export const connectionQueueBytesHigh = 64 * mib;
export const connectionQueueBytesLow = 32 * mib;
/**
 * Answers of one connection that wait before it is closed: calls under way at the limit above may still add theirs. One
 * answer alone is never refused, however large.
 */
export const connectionQueueBytesMax = 1024 * mib;
/** Answers to pings and settings, resets and window updates that a client may leave unread before it is closed. */
export const controlFramesMax = 10_000;

/** Where pings are counted: clients without calls have nothing to keep alive, says grpc-go, and etcd keeps to it. */
export const idlePingIntervalMinMs = 2 * 60 * 60 * 1000;
/** Pings may come early twice: the network bunches them. */
export const earlyPingsMax = 2;

/** HPACK's table for what clients send: the protocol's default, as every client's encoder expects it. */
export const headerTableBytes = 4 * kib;
/** Header fields of one request as RFC 9113 reckons them: tokens and paths are a few hundred bytes. */
export const headerListBytesMax = 64 * kib;
/** The same as it arrives: HEADERS and its CONTINUATIONs. Beyond it the connection's table cannot be kept right. */
export const headerBlockBytesMax = 128 * kib;
/** CONTINUATION frames of one block; a full block of them takes eight. */
export const continuationFramesMax = 32;

/**
 * Resets of streams by the client. etcd's clients cancel calls all day (a thousand in eight seconds is normal); a rapid
 * reset attack opens and resets as fast as the link goes, several ten thousand a second.
 */
export const resetBurst = 20_000;
export const resetsPerSecond = 2_000;
/**
 * Frames that are legal and mean nothing: empty DATA, PRIORITY, unknown types, settings beyond the first, frames for
 * streams that are closed. Well-behaved clients send a few.
 */
export const idleFrameBurst = 10_000;
export const idleFramesPerSecond = 1_000;
/** Handlers of calls that the client has cancelled and that still run. Beyond it new calls wait: REFUSED_STREAM. */
export const orphansMax = 10_000;
/** Closed streams whose end is remembered, to tell late frames from wrong ones. Beyond it a late frame is told so again. */
export const closedStreamsKept = 64;

/** From accepting a connection to the client's preface; TLS handshakes get as long. A client sends it at once. */
export const prefaceTimeoutMs = 10_000;
/**
 * Connections in all. An idle one takes some 8 KB (measured with 10,000), so this many take 200 MB; the system's own limit of open files
 * is usually lower.
 */
export const connectionsMax = 25_000;
/** HTTP/1: from the first byte of a request to the end of its headers; a probe or a scrape sends them at once. */
export const httpHeadersTimeoutMs = 10_000;
/** HTTP/1 connections without a request: longer than scrapes are apart. */
export const httpIdleTimeoutMs = 90_000;
/** How long open calls may take to end once the server stops. */
export const drainMs = 1_000;
/** Text of one status on the wire: beyond it clients refuse the trailers as too large (grpc-js: 16 KB in all). */
export const statusTextBytesMax = 4 * kib;
