/** Carries out one probe or lifecycle hook against a running container. */
import type { JsonObject } from '../../control/api/contract.ts';
import { type Clock, sleep } from '../../env/clock.ts';
import { errorText } from '../../env/errors.ts';
import type { Cri } from '../cri/cri.ts';
import type { HandlerNetwork, HandlerResult } from './handler-network.ts';

export interface HandlerTarget {
  readonly containerId: string;
  readonly podIp: string;
  /** The container's spec, for named ports. */
  readonly spec: JsonObject;
}

export interface HandlerWorld {
  readonly cri: Cri;
  readonly network: HandlerNetwork;
  readonly clock: Clock;
}

// Enough of a command's output for an event.
const outputCharactersMax = 512;

/** `handler` holds one of exec, httpGet, tcpSocket, grpc, sleep. Never rejects. */
export async function runHandler(
  world: HandlerWorld,
  target: HandlerTarget,
  handler: JsonObject,
  timeoutSeconds: number,
): Promise<HandlerResult> {
  const timeoutMs = timeoutSeconds * 1000;
  if (handler.exec) return runCommand(world.cri, target, handler.exec.command ?? [], timeoutSeconds);
  if (handler.httpGet) {
    const { scheme = 'HTTP', host, port, path = '/', httpHeaders = [] } = handler.httpGet as JsonObject;
    const number = resolvePort(target.spec, port);
    if (number === undefined) return unknownPort(port);
    return world.network.http({
      scheme,
      host: host || target.podIp,
      port: number,
      path: path || '/',
      headers: httpHeaders,
      timeoutMs,
    });
  }
  if (handler.tcpSocket) {
    const number = resolvePort(target.spec, handler.tcpSocket.port);
    if (number === undefined) return unknownPort(handler.tcpSocket.port);
    return world.network.tcp(handler.tcpSocket.host || target.podIp, number, timeoutMs);
  }
  if (handler.grpc) {
    return world.network.grpc(target.podIp, handler.grpc.port, handler.grpc.service ?? '', timeoutMs);
  }
  if (handler.sleep) {
    await sleep(world.clock, (handler.sleep.seconds as number) * 1000);
    return { isSuccess: true, message: '' };
  }
  return { isSuccess: false, message: 'missing handler: want one of exec, httpGet, tcpSocket, grpc, sleep' };
}

async function runCommand(
  cri: Cri,
  target: HandlerTarget,
  command: readonly string[],
  timeoutSeconds: number,
): Promise<HandlerResult> {
  try {
    const result = await cri.execSync(target.containerId, command, timeoutSeconds);
    const output = (Buffer.from(result.stdout).toString() + Buffer.from(result.stderr).toString()).trim();
    const text = output.slice(0, outputCharactersMax);
    return { isSuccess: result.exitCode === 0, message: text || `command exited with ${result.exitCode}` };
  } catch (error) {
    return { isSuccess: false, message: errorText(error) };
  }
}

function unknownPort(port: unknown): HandlerResult {
  return { isSuccess: false, message: `couldn't find port: ${JSON.stringify(port)}` };
}

/** A number, a number as text, or the name of one of the container's ports. */
export function resolvePort(spec: JsonObject, port: unknown): number | undefined {
  if (typeof port === 'number') return port;
  const named = ((spec.ports ?? []) as JsonObject[]).find((each) => each.name === port);
  if (named !== undefined) return named.containerPort as number;
  return /^\d+$/.test(String(port)) ? Number(port) : undefined;
}
