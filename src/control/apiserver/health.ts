/** /livez, /readyz and /healthz, with `?verbose`, `?exclude=` and one path per check. */
import type { ApiResponse } from './http.ts';
import { isSet, textResponse } from './http.ts';

export interface HealthCheck {
  readonly name: string;
  /** Undefined when all is well, else why not (for operators with `verbose`; never secret). */
  readonly check: () => Promise<string | undefined> | string | undefined;
}

export interface HealthChecks {
  readonly livez: readonly HealthCheck[];
  readonly readyz: readonly HealthCheck[];
  readonly healthz: readonly HealthCheck[];
}

/** Undefined when the path is no health path. */
export async function handleHealth(
  path: string,
  query: URLSearchParams,
  checks: HealthChecks,
): Promise<ApiResponse | undefined> {
  const match = /^\/(livez|readyz|healthz)(?:\/(.+))?$/.exec(path.replace(/\/$/, ''));
  if (match === null) return undefined;
  const kind = match[1] as keyof HealthChecks;
  const all = checks[kind];
  const single = match[2];
  if (single !== undefined) {
    const check = all.find((item) => item.name === single);
    if (check === undefined) return undefined;
    const problem = await check.check();
    return problem === undefined
      ? textResponse(200, 'ok')
      : textResponse(500, `internal server error: ${check.name} failed: ${problem}\n`);
  }
  const excluded = new Set(query.getAll('exclude'));
  const lines: string[] = [];
  let isHealthy = true;
  for (const check of all) {
    if (excluded.has(check.name)) {
      lines.push(`[+]${check.name} excluded: ok`);
      continue;
    }
    const problem = await check.check();
    if (problem !== undefined) isHealthy = false;
    lines.push(problem === undefined ? `[+]${check.name} ok` : `[-]${check.name} failed: reason withheld`);
  }
  if (!isHealthy) return textResponse(500, `${lines.join('\n')}\n${kind} check failed\n`);
  return textResponse(200, isSet(query, 'verbose') ? `${lines.join('\n')}\n${kind} check passed\n` : 'ok');
}
