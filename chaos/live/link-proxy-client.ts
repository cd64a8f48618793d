/** The proxy's process as its world holds it: started, asked, ended. */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { KeelsonError } from '../../src/env/errors.ts';
import type { LinkCounts } from './contract.ts';
import { inside } from './lan.ts';
import type { ProxyAnswer, ProxyRequest } from './link-proxy-words.ts';
import { peerPort, type WorldPlan } from './world-plan.ts';

/** Under its own extension: sources run as they are, and built ones as they were built. */
const entry = fileURLToPath(new URL(`link-proxy-process${extname(import.meta.url)}`, import.meta.url));
/** A busy machine takes some seconds to start a process; answers take no time. */
const answerTimeoutMs = 30_000;

export class LinkProxyClient {
  readonly #child: ChildProcess;
  readonly #logFile: string;
  readonly #waiting = new Map<number, (answer: ProxyAnswer) => void>();
  #nextId = 1;
  #hasEnded = false;

  private constructor(child: ChildProcess, logFile: string) {
    this.#child = child;
    this.#logFile = logFile;
    child.on('message', (answer: ProxyAnswer) => this.#waiting.get(answer.id)?.(answer));
    const ended = () => {
      this.#hasEnded = true;
      for (const [id, settle] of this.#waiting) settle({ id, error: 'its process ended' });
    };
    child.on('error', ended);
    child.on('exit', ended);
  }

  /** `started` is told the process id at once. */
  static async start(plan: WorldPlan, started: (pid: number) => Promise<void>): Promise<LinkProxyClient> {
    const logFile = `${plan.directory}/proxy.log`;
    const log = openSync(logFile, 'a', 0o600);
    // The directory is an argument so that whoever cleans up knows the process by it.
    const words = [process.execPath, '--disable-warning=ExperimentalWarning', entry, `${plan.directory}/`];
    const [program, ...args] = inside(plan.lanNamespace, words);
    const child = spawn(program, args, {
      stdio: ['ignore', log, log, 'ipc'],
      detached: true,
      serialization: 'advanced',
    });
    closeSync(log);
    const client = new LinkProxyClient(child, logFile);
    if (child.pid !== undefined) await started(child.pid);
    const members = plan.members.map(({ address, face }) => ({ address, face }));
    await client.ask({ kind: 'start', members, port: peerPort });
    return client;
  }

  ask(request: ProxyRequest): Promise<ProxyAnswer> {
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      const settle = (answer: ProxyAnswer) => {
        clearTimeout(timer);
        this.#waiting.delete(id);
        if (answer.error === undefined) return resolve(answer);
        reject(
          new KeelsonError('CHAOS_PROXY_FAILED', `link proxy: ${request.kind}: ${answer.error}: see ${this.#logFile}`),
        );
      };
      const timer = setTimeout(() => settle({ id, error: `no answer in ${answerTimeoutMs} ms` }), answerTimeoutMs);
      this.#waiting.set(id, settle);
      if (this.#hasEnded) return settle({ id, error: 'its process ended' });
      this.#child.send({ id, request }, (error) => {
        if (error) settle({ id, error: error.message });
      });
    });
  }

  async counts(): Promise<LinkCounts> {
    const { counts } = await this.ask({ kind: 'counts' });
    return counts ?? { connections: 0, bytes: 0, flips: 0 };
  }

  /** Resolves once it has ended. */
  async close(): Promise<void> {
    if (this.#hasEnded) return;
    const ended = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.kill('SIGKILL');
    await ended;
  }
}
