/** From `--to` to a place for backups: a directory, or `s3://bucket/prefix?endpoint=…&region=…`. */
import type { Disk } from '../../env/disk.ts';
import { KeelsonError } from '../../env/errors.ts';
import type { Destination } from './destination.ts';
import { directoryDestination } from './directory-destination.ts';
import { s3Destination } from './s3-destination.ts';

/** `environment` holds the keys of a service, by the names that Amazon's own tools use. */
export function openDestination(
  disk: Disk,
  place: string,
  environment: Readonly<Record<string, string | undefined>>,
): Destination {
  const bad = (what: string) => new KeelsonError('BAD_DESTINATION', `backups in ${JSON.stringify(place)}: ${what}`);
  if (place === '') throw bad('want a directory or s3://bucket/prefix?endpoint=https://host:port');
  if (!place.startsWith('s3:')) {
    if (/^[a-z][a-z0-9+.-]*:\/\//.test(place)) throw bad('want a directory or s3://bucket/prefix');
    return directoryDestination(disk, place.replace(/(?<=.)\/+$/, ''));
  }
  if (!URL.canParse(place)) throw bad('it is no URL');
  const url = new URL(place);
  const region = url.searchParams.get('region') ?? environment['AWS_REGION'] ?? 'us-east-1';
  const endpoint = url.searchParams.get('endpoint') ?? `https://s3.${region}.amazonaws.com`;
  for (const name of url.searchParams.keys()) {
    if (name !== 'endpoint' && name !== 'region') throw bad(`it has ${name}: want endpoint and region only`);
  }
  if (!/^https?:\/\//.test(endpoint) || !URL.canParse(endpoint)) throw bad(`endpoint ${endpoint} is no URL`);
  if (url.hostname === '') throw bad('it names no bucket');
  const [accessKeyId, secretAccessKey] = [environment['AWS_ACCESS_KEY_ID'], environment['AWS_SECRET_ACCESS_KEY']];
  if (!accessKeyId || !secretAccessKey) throw bad('AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY must be set');
  const prefix = decodeURIComponent(url.pathname).replace(/^\/+|\/+$/g, '');
  const sessionToken = environment['AWS_SESSION_TOKEN'];
  return s3Destination({
    endpoint,
    bucket: url.hostname,
    prefix: prefix === '' ? '' : `${prefix}/`,
    region,
    accessKeyId,
    secretAccessKey,
    ...(sessionToken ? { sessionToken } : {}),
  });
}
