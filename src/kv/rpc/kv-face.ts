/** etcdserverpb.KV. */
import type * as grpc from '@grpc/grpc-js';
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
import type { WireDeleteRangeRequest, WirePutRequest, WireRangeRequest, WireTxnRequest } from './wire.ts';

const service = 'etcdserverpb.KV';

export function kvFace(face: Face): grpc.UntypedServiceImplementation {
  const { server } = face;
  return {
    Range: unary(face, [service, 'Range'], async (request: WireRangeRequest) => {
      const { revision, ...result } = await server.range(fromWireRange(request));
      return toWireRange(result, headerOf(server, revision));
    }),
    Put: unary(face, [service, 'Put'], async (request: WirePutRequest) => {
      const { revision, prevKv } = await server.put(fromWirePut(request));
      return { header: headerOf(server, revision), ...toWirePrevKv(prevKv) };
    }),
    DeleteRange: unary(face, [service, 'DeleteRange'], async (request: WireDeleteRangeRequest) => {
      const { revision, deleted, prevKvs } = await server.deleteRange(fromWireDeleteRange(request));
      return { header: headerOf(server, revision), deleted, prevKvs: prevKvs.map(toWireKeyValue) };
    }),
    Txn: unary(face, [service, 'Txn'], async (request: WireTxnRequest) => {
      const { revision, ...result } = await server.txn(fromWireTxn(request));
      return toWireTxn(result, headerOf(server, revision), revision);
    }),
    Compact: unary(
      face,
      [service, 'Compact'],
      async (request: { readonly revision: Int64Like; readonly physical: boolean }) => {
        const { revision } = await server.compact(saturate(request.revision), request.physical);
        return { header: headerOf(server, revision) };
      },
    ),
  };
}
