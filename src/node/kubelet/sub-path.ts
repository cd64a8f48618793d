/**
 * The host path of a mount's subPath. What lies in a volume was written by containers, so a link in it may point
 * anywhere: the resolved path must still lie inside the volume.
 */
import type { JsonObject } from '../../control/api/contract.ts';
import type { HostFiles } from '../volumes/host-files.ts';
import { ContainerConfigError, expand } from './environment.ts';

export async function resolveSubPath(
  files: HostFiles,
  base: string,
  mount: JsonObject,
  env: readonly { readonly name: string; readonly value: string }[],
): Promise<string> {
  const written = (mount.subPathExpr ?? mount.subPath ?? '') as string;
  if (written === '') return base;
  const variables = new Map(env.map(({ name, value }) => [name, value]));
  const subPath = mount.subPathExpr ? expand(written, variables) : written;
  if (subPath.startsWith('/') || subPath.split('/').includes('..')) {
    throw new ContainerConfigError(`subPath ${JSON.stringify(subPath)} must be a relative path without ".."`);
  }
  const path = `${base}/${subPath}`;
  if ((await files.kind(path)) === 'none') await files.makeDirectory(path, 0o777);
  const [realBase, realPath] = [await files.realPath(base), await files.realPath(path)];
  if (realBase === undefined || realPath === undefined || !`${realPath}/`.startsWith(`${realBase}/`)) {
    throw new ContainerConfigError(`subPath ${JSON.stringify(subPath)} leads out of volume ${mount.name}`);
  }
  return realPath;
}
