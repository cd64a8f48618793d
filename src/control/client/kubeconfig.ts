/**
 * A kubeconfig file as client options: its current context's server, authority and credentials. Data may be inline
 * (`…-data`) or in files, whose paths are relative to the kubeconfig itself.
 */
import { load } from 'js-yaml';
import type { Disk } from '../../env/disk.ts';
import { errorText, KeelsonError } from '../../env/errors.ts';
import type { JsonObject } from '../api/contract.ts';
import type { ApiClientOptions } from './contract.ts';

export type Kubeconfig = Pick<ApiClientOptions, 'servers' | 'ca' | 'credentials'> & { readonly namespace?: string };

function bad(what: string, cause?: unknown): KeelsonError {
  return new KeelsonError('BAD_KUBECONFIG', `cannot use the kubeconfig: ${what}`, { cause });
}

function named(config: JsonObject, list: string, item: string, name: string | undefined): JsonObject {
  const found = ((config[list] ?? []) as JsonObject[]).find((entry) => entry?.name === name);
  if (found?.[item] === undefined) throw bad(`it has no ${item} named ${JSON.stringify(name)} under ${list}`);
  return found[item];
}

/**
 * Reads the text of a kubeconfig whose keys and certificates are inline. `servers` replaces its server when not empty.
 * Throws KeelsonError BAD_KUBECONFIG.
 */
export function loadKubeconfig(
  text: string,
  servers: readonly string[] = [],
  files: ReadonlyMap<string, Uint8Array> = new Map(),
): Kubeconfig {
  const config = parse(text);
  const context = named(config, 'contexts', 'context', config['current-context']);
  const cluster = named(config, 'clusters', 'cluster', context.cluster);
  const user = named(config, 'users', 'user', context.user);
  const bytes = (holder: JsonObject, field: string): Uint8Array | undefined => {
    const inline = holder[`${field}-data`];
    if (typeof inline === 'string') return Buffer.from(inline, 'base64');
    const path = holder[field];
    if (typeof path !== 'string') return undefined;
    const content = files.get(path);
    if (content === undefined) throw bad(`${field} is in the file ${path}, which was not read`);
    return content;
  };
  const cert = bytes(user, 'client-certificate');
  const key = bytes(user, 'client-key');
  const token = user.token as string | undefined;
  if ((cert === undefined || key === undefined) && token === undefined) {
    throw bad(`user ${JSON.stringify(context.user)} has neither client-certificate and client-key nor token`);
  }
  const all = servers.length > 0 ? servers : [String(cluster.server)];
  for (const server of all) {
    if (!URL.canParse(server)) throw bad(`server ${JSON.stringify(server)} is not a URL such as https://10.0.0.1:6443`);
  }
  return {
    servers: all,
    ca: bytes(cluster, 'certificate-authority') ?? new Uint8Array(),
    credentials:
      cert !== undefined && key !== undefined
        ? { kind: 'certificate', cert, key }
        : { kind: 'token', token: () => token as string },
    ...(context.namespace === undefined ? {} : { namespace: String(context.namespace) }),
  };
}

/** Reads a kubeconfig file and the files it names. */
export async function readKubeconfig(disk: Disk, path: string, servers: readonly string[] = []): Promise<Kubeconfig> {
  const read = async (file: string): Promise<Uint8Array> => {
    try {
      return await disk.readFile(file);
    } catch (error) {
      throw bad(`cannot read ${file}: ${errorText(error)}`, error);
    }
  };
  const text = Buffer.from(await read(path)).toString();
  const config = parse(text);
  const folder = path.includes('/') ? path.slice(0, path.lastIndexOf('/') + 1) : '';
  const files = new Map<string, Uint8Array>();
  const holders = [
    ...((config.clusters ?? []) as JsonObject[]).map((entry) => entry?.cluster),
    ...((config.users ?? []) as JsonObject[]).map((entry) => entry?.user),
  ];
  for (const holder of holders) {
    for (const field of ['certificate-authority', 'client-certificate', 'client-key']) {
      const name = holder?.[field];
      if (typeof name === 'string' && holder[`${field}-data`] === undefined) {
        files.set(name, await read(name.startsWith('/') ? name : folder + name));
      }
    }
  }
  return loadKubeconfig(text, servers, files);
}

function parse(text: string): JsonObject {
  try {
    const config = load(text) as JsonObject;
    if (typeof config === 'object' && config !== null) return config;
  } catch (error) {
    throw bad(`it is not YAML: ${errorText(error)}`, error);
  }
  throw bad('it is empty');
}
