/** What /health, /livez and /readyz say: etcd's checks by etcd's names, decided apart from HTTP. */
import { errorText } from '../../env/errors.ts';
import type { AlarmType } from '../api.ts';
import type { KvServer } from '../server/contract.ts';

const checkTimeoutMs = 5_000;
const alarmNames: Readonly<Record<AlarmType, string>> = { none: 'NONE', noSpace: 'NOSPACE', corrupt: 'CORRUPT' };

export interface Health {
  readonly isHealthy: boolean;
  readonly reason: string;
}

/** `/health`: no alarm but the excluded ones, a leader, and a read that works. */
export async function healthOf(server: KvServer, options: HealthOptions): Promise<Health> {
  const health = await look(server, options);
  if (health.isHealthy) server.timings().healthyAnswers += 1;
  else server.timings().unhealthyAnswers += 1;
  return health;
}

interface HealthOptions {
  readonly isSerializable: boolean;
  readonly excluded: readonly string[];
}

async function look(server: KvServer, options: HealthOptions): Promise<Health> {
  for (const { alarm } of server.alarms()) {
    if (!options.excluded.includes(alarmNames[alarm])) {
      return { isHealthy: false, reason: `ALARM ${alarmNames[alarm]}` };
    }
  }
  if (options.isSerializable) return { isHealthy: true, reason: '' };
  if (server.position().leader === 0) return { isHealthy: false, reason: 'RAFT NO LEADER' };
  try {
    await server.checkQuorum(checkTimeoutMs);
    return { isHealthy: true, reason: '' };
  } catch (error) {
    return { isHealthy: false, reason: `QGET ERROR:${errorText(error)}` };
  }
}

export type CheckName = 'data_corruption' | 'serializable_read' | 'linearizable_read' | 'non_learner';

export const livezChecks: readonly CheckName[] = ['serializable_read'];
export const readyzChecks: readonly CheckName[] = [
  'data_corruption',
  'serializable_read',
  'linearizable_read',
  'non_learner',
];

/** Undefined when the check passes, else why not. */
export async function runCheck(server: KvServer, check: CheckName): Promise<string | undefined> {
  switch (check) {
    case 'data_corruption':
      return server.alarms().some((item) => item.alarm === 'corrupt') ? 'alarm activated: CORRUPT' : undefined;
    case 'serializable_read':
      return server.status().isStopping ? 'the server is stopping' : undefined;
    case 'linearizable_read':
      return server.checkQuorum(checkTimeoutMs).then(
        () => undefined,
        (error: unknown) => errorText(error),
      );
    case 'non_learner':
      return server.status().isLearner ? 'this member is a learner' : undefined;
  }
}
