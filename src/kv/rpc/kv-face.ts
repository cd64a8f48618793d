/** etcdserverpb.KV. */
import { type Int64Like } from '../../proto/int64.ts';
import { type Face, headerOf, unary } from './call.ts';
import {
  fromWireDeleteRange,
  fromWirePut,
  fromWireRange,
  fromWireTxn,
  toWirePrevKv,
  toWireRange,
  toWireTxn,
} from './codec-server.ts';
import { saturate, toWireKeyValue } from './codec-values.ts';
import type { RpcMethod } from './service.ts';
import {
  kvService,
  type WireDeleteRangeRequest,
  type WirePutRequest,
  type WireRangeRequest,
  type WireTxnRequest,
} from './wire.ts';

export function kvFace(face: Face): readonly RpcMethod[] {
  const { server } = face;
  return [
    unary(face, kvService['Range'], async (request: WireRangeRequest) => {
      const { revision, ...result } = await server.range(fromWireRange(request));
      return toWireRange(result, headerOf(server, revision));
    }),
    unary(face, kvService['Put'], async (request: WirePutRequest) => {
      const { revision, prevKv } = await server.put(fromWirePut(request));
      return { header: headerOf(server, revision), ...toWirePrevKv(prevKv) };
    }),
    unary(face, kvService['DeleteRange'], async (request: WireDeleteRangeRequest) => {
      const { revision, deleted, prevKvs } = await server.deleteRange(fromWireDeleteRange(request));
      return { header: headerOf(server, revision), deleted, prevKvs: prevKvs.map(toWireKeyValue) };
    }),
    unary(face, kvService['Txn'], async (request: WireTxnRequest) => {
      const { revision, ...result } = await server.txn(fromWireTxn(request));
      return toWireTxn(result, headerOf(server, revision), revision);
    }),
    unary(face, kvService['Compact'], async (request: { readonly revision: Int64Like; readonly physical: boolean }) => {
      const { revision } = await server.compact(saturate(request.revision), request.physical);
      return { header: headerOf(server, revision) };
    }),
  ];
}
