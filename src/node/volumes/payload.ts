/**
 * What the files of a configMap, secret, downwardAPI or projected volume are: pure. Objects and tokens that are missing
 * come out as VolumeError, which says what the pod waits for.
 */
import type { JsonObject, KubeObject } from '../../control/api/contract.ts';
import { type EnvironmentContext, podField, resourceField } from '../kubelet/environment.ts';
import type { Payload, PayloadFile } from './atomic-writer.ts';

export interface PayloadSources {
  configMap(name: string): KubeObject | undefined;
  secret(name: string): KubeObject | undefined;
  token(source: TokenSource): string | undefined;
}

export interface TokenSource {
  readonly audience: string | undefined;
  readonly expirationSeconds: number;
}

/** A volume that cannot be made now. */
export class VolumeError extends Error {
  override readonly name = 'VolumeError';
}

// As upstream: readable by all, unless the volume says otherwise.
const modeDefault = 0o644;
const tokenExpirationSecondsDefault = 3600;

export interface VolumeReferences {
  readonly configMaps: ReadonlySet<string>;
  readonly secrets: ReadonlySet<string>;
  readonly tokens: readonly TokenSource[];
}

export function isPayloadVolume(volume: JsonObject): boolean {
  return Boolean(volume.configMap || volume.secret || volume.downwardAPI || volume.projected);
}

/** Everything a volume is made from. */
export function volumeReferences(volume: JsonObject): VolumeReferences {
  const configMaps = new Set<string>();
  const secrets = new Set<string>();
  const tokens: TokenSource[] = [];
  if (volume.configMap?.name) configMaps.add(volume.configMap.name);
  if (volume.secret?.secretName) secrets.add(volume.secret.secretName);
  for (const source of (volume.projected?.sources ?? []) as JsonObject[]) {
    if (source.configMap?.name) configMaps.add(source.configMap.name);
    if (source.secret?.name) secrets.add(source.secret.name);
    if (source.serviceAccountToken) tokens.push(tokenSource(source.serviceAccountToken));
  }
  return { configMaps, secrets, tokens };
}

function tokenSource(source: JsonObject): TokenSource {
  return {
    audience: source.audience as string | undefined,
    expirationSeconds: (source.expirationSeconds as number | undefined) ?? tokenExpirationSecondsDefault,
  };
}

export function volumePayload(volume: JsonObject, context: EnvironmentContext, sources: PayloadSources): Payload {
  if (volume.configMap) {
    return fromObject('configmap', volume.configMap.name, volume.configMap, sources, volume.configMap.defaultMode);
  }
  if (volume.secret) {
    return fromObject('secret', volume.secret.secretName, volume.secret, sources, volume.secret.defaultMode);
  }
  if (volume.downwardAPI) return fromDownward(volume.downwardAPI, context, volume.downwardAPI.defaultMode);
  const mode = volume.projected?.defaultMode as number | undefined;
  const out = new Map<string, PayloadFile>();
  for (const source of (volume.projected?.sources ?? []) as JsonObject[]) {
    for (const [path, file] of projected(source, context, sources, mode)) out.set(path, file);
  }
  return out;
}

function projected(
  source: JsonObject,
  context: EnvironmentContext,
  sources: PayloadSources,
  mode: number | undefined,
): Payload {
  if (source.configMap) return fromObject('configmap', source.configMap.name, source.configMap, sources, mode);
  if (source.secret) return fromObject('secret', source.secret.name, source.secret, sources, mode);
  if (source.downwardAPI) return fromDownward(source.downwardAPI, context, mode);
  if (source.serviceAccountToken) {
    const token = sources.token(tokenSource(source.serviceAccountToken));
    if (token === undefined) throw new VolumeError('the service account token is not there yet');
    const content = Buffer.from(token);
    return new Map([[source.serviceAccountToken.path as string, { content, mode: mode ?? modeDefault }]]);
  }
  throw new VolumeError(`projected volume source ${Object.keys(source).join(', ')} is not supported`);
}

function fromObject(
  kind: 'configmap' | 'secret',
  name: string,
  reference: JsonObject,
  sources: PayloadSources,
  mode: number | undefined,
): Payload {
  const object = kind === 'secret' ? sources.secret(name) : sources.configMap(name);
  if (object === undefined) {
    if (reference.optional === true) return new Map();
    throw new VolumeError(`${kind} "${name}" not found`);
  }
  const all = new Map<string, Uint8Array>();
  for (const [key, value] of Object.entries((object.data ?? {}) as Record<string, string>)) {
    all.set(key, kind === 'secret' ? Buffer.from(value, 'base64') : Buffer.from(value));
  }
  for (const [key, value] of Object.entries((object.binaryData ?? {}) as Record<string, string>)) {
    all.set(key, Buffer.from(value, 'base64'));
  }
  const items = reference.items as JsonObject[] | undefined;
  if (items === undefined || items === null) {
    return new Map([...all].map(([key, content]) => [key, { content, mode: mode ?? modeDefault }]));
  }
  const out = new Map<string, PayloadFile>();
  for (const item of items) {
    const content = all.get(item.key);
    if (content === undefined) {
      if (reference.optional === true) continue;
      throw new VolumeError(`references non-existent ${kind} key: ${item.key}`);
    }
    out.set(item.path, { content, mode: item.mode ?? mode ?? modeDefault });
  }
  return out;
}

function fromDownward(downward: JsonObject, context: EnvironmentContext, mode: number | undefined): Payload {
  const out = new Map<string, PayloadFile>();
  for (const item of (downward.items ?? []) as JsonObject[]) {
    const text = item.fieldRef
      ? podField(context, item.fieldRef.fieldPath)
      : resourceField(context, item.resourceFieldRef);
    out.set(item.path, { content: Buffer.from(text), mode: item.mode ?? mode ?? modeDefault });
  }
  return out;
}
