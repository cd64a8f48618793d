/** Pieces of text that many columns share: ages, lists, selectors. */

const minuteSeconds = 60;
const hourSeconds = 3600;
const daySeconds = 24 * hourSeconds;
const yearSeconds = 365 * daySeconds;

/** `5m3s`, `2d4h`, `3y12d`: two units while the leading one is small, as kubectl prints durations. */
export function humanDuration(durationMs: number): string {
  const seconds = Math.floor(durationMs / 1000);
  if (seconds < -1) return '<invalid>';
  if (seconds < 0) return '0s';
  if (seconds < 2 * minuteSeconds) return `${seconds}s`;
  const minutes = Math.floor(seconds / minuteSeconds);
  if (minutes < 10) return withRest(minutes, 'm', seconds % minuteSeconds, 's');
  if (minutes < 180) return `${minutes}m`;
  const hours = Math.floor(seconds / hourSeconds);
  if (hours < 8) return withRest(hours, 'h', minutes % 60, 'm');
  if (hours < 48) return `${hours}h`;
  if (hours < 192) return withRest(Math.floor(hours / 24), 'd', hours % 24, 'h');
  const days = Math.floor(seconds / daySeconds);
  if (days < 2 * 365) return `${days}d`;
  const years = Math.floor(seconds / yearSeconds);
  if (days < 8 * 365) return withRest(years, 'y', days % 365, 'd');
  return `${years}y`;
}

function withRest(large: number, largeUnit: string, small: number, smallUnit: string): string {
  return small === 0 ? `${large}${largeUnit}` : `${large}${largeUnit}${small}${smallUnit}`;
}

/** Time since an RFC 3339 moment. */
export function age(timestamp: string | null | undefined, nowMs: number): string {
  if (timestamp === undefined || timestamp === null || timestamp === '') return '<unknown>';
  return humanDuration(nowMs - Date.parse(timestamp));
}

/** `a=b,c=d` sorted by key, `<none>` when empty. */
export function formatLabels(labels: Readonly<Record<string, string>> | null | undefined): string {
  const pairs = Object.entries(labels ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));
  return pairs.length === 0 ? '<none>' : pairs.map(([key, value]) => `${key}=${value}`).join(',');
}
