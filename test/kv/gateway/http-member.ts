/** A test member with everything it answers over plain HTTP, on a port of its own. */
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { silentLog } from '../../../src/env/log.ts';
import { createStoreGateway } from '../../../src/kv/gateway/gateway.ts';
import { openAccess } from '../../../src/kv/http/access.ts';
import { createHttpHandler, type PathHandler } from '../../../src/kv/http/handler.ts';
import { storeMethods } from '../../../src/kv/rpc/methods.ts';
import { createStoreMetrics } from '../../../src/kv/rpc/metrics.ts';
import { StoreRegistry } from '../../../src/kv/rpc/store-registry.ts';
import type { KvServer } from '../../../src/kv/server/contract.ts';
import { startTestMembers, type TestMember } from '../server/test-members.ts';

export interface HttpMember {
  readonly member: TestMember;
  readonly url: string;
  stop(): Promise<void>;
}

export async function startHttpMember(
  morePaths: (server: KvServer) => Readonly<Record<string, PathHandler>> = () => ({}),
): Promise<HttpMember> {
  const [member] = (await startTestMembers(1)) as [TestMember];
  const onFatal = (error: Error) => {
    throw error;
  };
  const stopping = new AbortController();
  const face = {
    server: member.server,
    log: silentLog,
    counters: createStoreMetrics(new StoreRegistry()).calls,
    onFatal,
    stopping: stopping.signal,
  };
  const methods = storeMethods(face, { watch: { progressEveryMs: 600_000 } });
  const handler = createHttpHandler({
    log: silentLog,
    registry: member.registry,
    access: openAccess,
    server: () => member.server,
    onFatal,
    paths: { '/v3/': createStoreGateway(member.server, methods), ...morePaths(member.server) },
  });
  const server = createServer(handler);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    member,
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async stop() {
      stopping.abort();
      server.closeAllConnections();
      server.close();
      await member.stop();
    },
  };
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: string;
}

export interface AskOptions {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
  /** Resolves with what came so far once this says that it is enough, and hangs up. */
  readonly isEnough?: (body: string) => boolean;
}

export function ask(base: string, path: string, options: AskOptions = {}): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    const { method = 'POST', headers = {}, body = '' } = options;
    const sent = request(`${base}${path}`, { method, headers, agent: false }, (answer) => {
      let text = '';
      const done = () => resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: text });
      answer.on('data', (chunk: Buffer) => {
        text += chunk.toString();
        if (!options.isEnough?.(text)) return;
        done();
        sent.destroy();
      });
      answer.once('end', done);
      answer.on('error', () => undefined);
    });
    sent.on('error', reject);
    sent.end(body);
  });
}
