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
import type { RpcMethod } from '../../rpc/service.ts';
import { kvService } from './services.ts';
import type { WireDeleteRangeRequest, WirePutRequest, WireRangeRequest, WireTxnRequest } from './wire.ts';

export function kvFace(face: Face): readonly RpcMethod[] {
  const { server } = face;
  return [
    unary(face, kvService['Range'], async (request: WireRangeRequest, call) => {
      const { revision, ...result } = await server.range(fromWireRange(request), call);
      return toWireRange(result, headerOf(server, revision));
    }),
    unary(face, kvService['Put'], async (request: WirePutRequest, call) => {
      const { revision, prevKv } = await server.put(fromWirePut(request), call);
      return { header: headerOf(server, revision), ...toWirePrevKv(prevKv) };
    }),
    unary(face, kvService['DeleteRange'], async (request: WireDeleteRangeRequest, call) => {
      const { revision, deleted, prevKvs } = await server.deleteRange(fromWireDeleteRange(request), call);
      return { header: headerOf(server, revision), deleted, prevKvs: prevKvs.map(toWireKeyValue) };
    }),
    unary(face, kvService['Txn'], async (request: WireTxnRequest, call) => {
      const { revision, ...result } = await server.txn(fromWireTxn(request), call);
      return toWireTxn(result, headerOf(server, revision), revision);
    }),
    unary(
      face,
      kvService['Compact'],
      async (request: { readonly revision: Int64Like; readonly physical: boolean }, call) => {
        await server.auth.requireRoot(call);
        const { revision } = await server.compact(saturate(request.revision), request.physical, call);
        return { header: headerOf(server, revision) };
      },
    ),
  ];
}
