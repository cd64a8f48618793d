/** `/version`, `/health`, `/livez` and `/readyz` as etcd answers them. */
import type { ServerResponse } from 'node:http';
import type { KvServer } from '../server/contract.ts';
import { etcdVersion } from '../server/version.ts';
import { sendJson, sendNotFound, sendText } from './answers.ts';
import { type CheckName, healthOf, livezChecks, readyzChecks, runCheck } from './health.ts';

export function sendVersion(server: KvServer, response: ServerResponse): void {
  const { clusterVersion } = server.status();
  const etcdcluster = clusterVersion === '' ? 'not_decided' : clusterVersion;
  sendJson(response, 200, { etcdserver: etcdVersion, etcdcluster, storage: etcdcluster });
}

export async function sendHealth(server: KvServer, url: URL, response: ServerResponse): Promise<void> {
  const { isHealthy, reason } = await healthOf(server, {
    isSerializable: url.searchParams.get('serializable') === 'true',
    excluded: url.searchParams.getAll('exclude'),
  });
  const body = JSON.stringify({ health: String(isHealthy), reason });
  sendText(response, isHealthy ? 200 : 503, body);
}

/** `/livez`, `/readyz`, and each of their checks by its own path. */
export async function sendChecks(
  server: KvServer,
  group: 'livez' | 'readyz',
  url: URL,
  response: ServerResponse,
): Promise<void> {
  const checks = group === 'livez' ? livezChecks : readyzChecks;
  const single = url.pathname.slice(group.length + 2);
  if (single !== '' && !checks.includes(single as CheckName)) return sendNotFound(response);
  const excluded = url.searchParams.getAll('exclude');
  const wanted = single === '' ? checks.filter((name) => !excluded.includes(name)) : [single as CheckName];
  const results = await Promise.all(wanted.map(async (name) => ({ name, failure: await runCheck(server, name) })));
  const isFine = results.every(({ failure }) => failure === undefined);
  const lines = results.map(({ name, failure }) =>
    failure === undefined ? `[+]${name} ok` : `[-]${name} failed: ${failure}`,
  );
  const told = lines.map((line) => `${line}\n`).join('');
  if (!isFine) return sendText(response, 503, `${told}\n`);
  sendText(response, 200, url.searchParams.has('verbose') ? `${told}ok\n` : 'ok\n');
}
