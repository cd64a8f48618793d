/** Requests at the edges, in an order that matters: what is refused and with which words, and what is answered with defaults. */
import type { Request } from './equality-requests.ts';
import type { Message, ServiceName } from './equality-sides.ts';

const call = (service: ServiceName, method: string, request: Message = {}): Request => ({ service, method, request });
const bytes = (text: string) => Buffer.from(text, 'latin1');
const puts = (count: number) =>
  Array.from({ length: count }, (_, index) => ({ requestPut: { key: bytes(`many${index}`), value: bytes('x') } }));
const big = (size: number) => Buffer.alloc(size, 0x61);
const farFuture = '1000000';

export const leaseCases: readonly Request[] = [
  call('Lease', 'LeaseGrant', { ID: '501', TTL: '0' }),
  call('Lease', 'LeaseRevoke', { ID: '501' }),
  call('Lease', 'LeaseGrant', { ID: '502', TTL: '-1' }),
  call('Lease', 'LeaseRevoke', { ID: '502' }),
  call('Lease', 'LeaseGrant', { ID: '-503', TTL: '1000' }),
  call('Lease', 'LeaseTimeToLive', { ID: '-503', keys: true }),
  call('Lease', 'LeaseGrant', { ID: '-503', TTL: '1000' }),
  call('Lease', 'LeaseGrant', { ID: '504', TTL: '9000000000' }),
  call('Lease', 'LeaseGrant', { ID: '505', TTL: '9000000001' }),
  call('Lease', 'LeaseGrant', { ID: '506', TTL: '9223372036854775807' }),
  call('Lease', 'LeaseTimeToLive', { ID: '0', keys: true }),
  call('Lease', 'LeaseTimeToLive', { ID: '99999', keys: true }),
  call('Lease', 'LeaseRevoke', { ID: '0' }),
  call('Lease', 'LeaseRevoke', { ID: '99999' }),
  call('KV', 'Put', { key: bytes('leased'), lease: '-503' }),
  call('KV', 'Put', { key: bytes('leased2'), lease: '-503' }),
  call('Lease', 'LeaseTimeToLive', { ID: '-503', keys: true }),
  call('Lease', 'LeaseRevoke', { ID: '-503' }),
  call('KV', 'Range', { key: bytes('leased'), rangeEnd: bytes('leasee') }),
  call('Lease', 'LeaseRevoke', { ID: '504' }),
];

export const keyCases: readonly Request[] = [
  call('KV', 'Range', {}),
  call('KV', 'Range', { key: bytes(''), rangeEnd: bytes('\0') }),
  call('KV', 'Range', { key: bytes('\0'), rangeEnd: bytes('\0'), countOnly: true }),
  call('KV', 'Put', {}),
  call('KV', 'DeleteRange', {}),
  call('KV', 'DeleteRange', { key: bytes(''), rangeEnd: bytes('z') }),
  call('KV', 'Txn', {}),
  call('KV', 'Txn', { success: puts(128) }),
  call('KV', 'Txn', { success: puts(129) }),
  call('KV', 'Txn', { failure: puts(129) }),
  call('KV', 'Txn', { compare: Array.from({ length: 129 }, () => ({ key: bytes('a'), target: 0 })) }),
  call('KV', 'Txn', { success: [{ requestTxn: { success: puts(127) } }] }),
  call('KV', 'Txn', { success: [{ requestTxn: { success: puts(128) } }] }),
  call('KV', 'Txn', { compare: [{}], success: puts(1) }),
  call('KV', 'Txn', { success: [{ requestRange: {} }] }),
  call('KV', 'Txn', { success: [{ requestPut: {} }, {}] }),
  call('KV', 'Txn', { success: [{}, { requestPut: {} }] }),
  call('KV', 'Txn', { success: [{ requestDeleteRange: {} }] }),
  call('KV', 'Txn', { success: [{ requestRange: { key: bytes('a'), revision: farFuture } }] }),
  call('KV', 'Txn', { success: [{ requestRange: { key: bytes('a'), revision: farFuture } }, ...puts(1)] }),
  call('KV', 'Txn', { success: [...puts(1), { requestPut: { key: bytes('q'), lease: '4242' } }] }),
  call('KV', 'Txn', { success: [...puts(1), { requestPut: { key: bytes('nobody'), ignoreValue: true } }] }),
  call('KV', 'Put', { key: bytes('a'), value: bytes('1'), ignoreValue: true }),
  call('KV', 'Put', { key: bytes('a'), lease: '5', ignoreLease: true }),
  call('KV', 'Put', { key: bytes('nobody'), ignoreValue: true }),
  call('KV', 'Put', { key: bytes('nobody'), value: bytes('x'), ignoreLease: true }),
  call('KV', 'Put', { key: bytes('a'), value: big(1_600_000) }),
  call('KV', 'Put', { key: bytes('a'), value: big(3_000_000) }),
  call('KV', 'Range', { key: bytes('a'), revision: farFuture }),
  call('KV', 'Range', { key: bytes('a'), revision: '9223372036854775807' }),
  call('KV', 'Range', { key: bytes('a'), limit: '9223372036854775807' }),
  call('KV', 'Range', { key: bytes('a'), rangeEnd: bytes('z'), minModRevision: farFuture }),
  call('KV', 'Range', { key: bytes('many'), rangeEnd: bytes('mao'), keysOnly: true, sortOrder: 2, limit: 5 }),
  call('KV', 'Compact', { revision: 0 }),
  call('KV', 'Compact', { revision: -7 }),
  call('KV', 'Compact', { revision: farFuture }),
];

export const clusterCases: readonly Request[] = [
  call('Cluster', 'MemberAdd', {}),
  call('Cluster', 'MemberAdd', { peerURLs: ['not a url'] }),
  call('Cluster', 'MemberAdd', { peerURLs: ['127.0.0.1:1'] }),
  call('Cluster', 'MemberAdd', { peerURLs: ['http://127.0.0.1'] }),
  call('Cluster', 'MemberAdd', { peerURLs: ['ftp://127.0.0.1:1'] }),
  call('Cluster', 'MemberAdd', { peerURLs: ['http://127.0.0.1:1/path'] }),
  call('Cluster', 'MemberAdd', { peerURLs: [''] }),
  call('Cluster', 'MemberAdd', { peerURLs: ['http://127.0.0.1:1', 'bad'] }),
  call('Cluster', 'MemberRemove', { ID: '12345' }),
  call('Cluster', 'MemberRemove', {}),
  call('Cluster', 'MemberUpdate', { ID: '12345', peerURLs: ['http://127.0.0.1:1'] }),
  call('Cluster', 'MemberUpdate', { ID: '12345', peerURLs: ['bad'] }),
  call('Cluster', 'MemberUpdate', { ID: '12345' }),
  call('Cluster', 'MemberPromote', { ID: '12345' }),
  call('Cluster', 'MemberPromote', {}),
  call('Cluster', 'MemberAdd', { peerURLs: ['http://127.0.0.1:1'], isLearner: true }),
  call('Cluster', 'MemberAdd', { peerURLs: ['http://127.0.0.1:1'], isLearner: true }),
  call('Cluster', 'MemberAdd', { peerURLs: ['http://127.0.0.1:2'], isLearner: true }),
  call('Cluster', 'MemberList'),
];

export const maintenanceCases: readonly Request[] = [
  call('Maintenance', 'Alarm'),
  call('Maintenance', 'Alarm', { action: 1, alarm: 1 }),
  call('Maintenance', 'Alarm'),
  call('Maintenance', 'Alarm', { action: 0, alarm: 2 }),
  call('KV', 'Put', { key: bytes('a'), value: bytes('full') }),
  call('KV', 'Txn', { success: puts(1) }),
  call('KV', 'Txn', { compare: [{ key: bytes('a'), target: 0, version: '99' }], success: puts(1) }),
  call('KV', 'DeleteRange', { key: bytes('nothing') }),
  call('Lease', 'LeaseGrant', { ID: '601', TTL: '1000' }),
  call('KV', 'Range', { key: bytes('nothing') }),
  call('Maintenance', 'Alarm', { action: 2, alarm: 1 }),
  call('Maintenance', 'Alarm', { action: 2, alarm: 1 }),
  call('KV', 'Put', { key: bytes('a'), value: bytes('free') }),
  call('Maintenance', 'HashKV', { revision: farFuture }),
  call('Maintenance', 'MoveLeader', { targetID: '12345' }),
  call('Maintenance', 'MoveLeader', {}),
];
