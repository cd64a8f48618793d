/** `/debug/vars` and `/config/local/log`: what etcd's users look at and turn when something is strange. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { KvServer } from '../server/contract.ts';
import { hexId } from '../server/upkeep.ts';
import { isMethodAllowed, sendJson, sendText } from './answers.ts';
import { readBody } from './body.ts';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/** A request to change the level is one short object. */
const levelBytesMax = 4_096;
/** Names of both of etcd's loggers, and what they are here. */
const levels: Readonly<Record<string, LogLevel>> = {
  DEBUG: 'debug',
  INFO: 'info',
  NOTICE: 'info',
  WARN: 'warn',
  WARNING: 'warn',
  ERROR: 'error',
  CRITICAL: 'error',
  DPANIC: 'error',
  PANIC: 'error',
  FATAL: 'error',
};

export function sendDebugVars(server: KvServer, response: ServerResponse): void {
  const { raft } = server.status();
  const memory = process.memoryUsage();
  const states = { follower: 'StateFollower', preCandidate: 'StatePreCandidate', candidate: 'StateCandidate' } as const;
  sendJson(response, 200, {
    cmdline: process.argv,
    memstats: {
      Alloc: memory.heapUsed,
      Sys: memory.rss,
      HeapAlloc: memory.heapUsed,
      HeapSys: memory.heapTotal,
      External: memory.external,
    },
    'raft.status': {
      id: hexId(server.memberId),
      term: raft.term,
      commit: raft.committed,
      applied: raft.applied,
      lead: hexId(raft.leader),
      raftState: raft.role === 'leader' ? 'StateLeader' : states[raft.role],
      progress: Object.fromEntries(
        [...raft.progress].map(([id, peer]) => [hexId(id), { match: peer.match, next: peer.next, state: peer.state }]),
      ),
    },
  });
}

/** PUT `{"Level":"DEBUG"}`. */
export async function changeLogLevel(
  request: IncomingMessage,
  response: ServerResponse,
  setLevel: (level: LogLevel) => void,
): Promise<void> {
  if (!isMethodAllowed(request, response, ['PUT'])) return;
  const body = await readBody(request, levelBytesMax);
  let level: LogLevel | undefined;
  try {
    const wanted = JSON.parse(body?.toString() ?? '') as { readonly Level?: unknown };
    level = levels[String(wanted.Level).toUpperCase()];
  } catch {
    return sendText(response, 400, 'Invalid json body\n');
  }
  if (!level) return sendText(response, 400, 'Invalid log level\n');
  setLevel(level);
  response.writeHead(204);
  response.end();
}
