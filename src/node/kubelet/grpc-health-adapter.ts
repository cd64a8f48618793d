/** Asks a server for its health over gRPC (adapter), for gRPC probes. Never rejects. */
import * as grpc from '@grpc/grpc-js';
import descriptor from '../../../proto/gen/health.json' with { type: 'json' };
import { loadService } from '../../proto/grpc-service.ts';
import type { HandlerResult } from './handler-network.ts';

const healthService = 'grpc.health.v1.Health';

type HealthCheck = (
  request: { service: string },
  options: { deadline: number },
  done: (error: grpc.ServiceError | null, answer?: { status: number }) => void,
) => void;

/** Success is SERVING before `deadlineMs` of the wall clock. An empty `service` asks about the server as a whole. */
export function checkGrpcHealth(
  host: string,
  port: number,
  service: string,
  deadlineMs: number,
): Promise<HandlerResult> {
  const Client = grpc.makeGenericClientConstructor(loadService(descriptor, healthService), healthService);
  const client = new Client(`${host}:${port}`, grpc.credentials.createInsecure());
  return new Promise((resolve) => {
    const call = (client as unknown as Record<string, HealthCheck>)['Check'] as HealthCheck;
    call.call(client, { service }, { deadline: deadlineMs }, (error, answer) => {
      client.close();
      if (error !== null) resolve({ isSuccess: false, message: `service unhealthy: ${error.details}` });
      else if (answer?.status === 1) resolve({ isSuccess: true, message: '' });
      else resolve({ isSuccess: false, message: `service unhealthy (responded with ${answer?.status})` });
    });
  });
}
