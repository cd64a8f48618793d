/**
 * The volumes of this node's pods: made before a pod's containers, kept up to date while it runs, taken away after it.
 *
 * Layout below the agent's root: `pods/<uid>/volumes/<volume>` is a volume's directory, `pods/<uid>/containers/<name>`
 * holds termination logs, `pods/<uid>/etc-hosts` is the pod's /etc/hosts. The caller owes one call at a time per pod.
 */
import type { JsonObject, KubeObject } from '../../control/api/contract.ts';
import { quantityValue } from '../../control/api/quantity.ts';
import { KeelsonError } from '../../env/errors.ts';
import type { Log } from '../../env/log.ts';
import type { Processes } from '../../env/process.ts';
import type { EnvironmentContext } from '../kubelet/environment.ts';
import { writePayload } from './atomic-writer.ts';
import type { HostFiles } from './host-files.ts';
import type { ObjectCache } from './object-cache.ts';
import { isPayloadVolume, type PayloadSources, VolumeError, volumePayload, volumeReferences } from './payload.ts';
import type { TokenManager } from './token-manager.ts';

export interface VolumeManagerOptions {
  readonly rootDirectory: string;
  readonly files: HostFiles;
  readonly processes: Processes;
  readonly objects: ObjectCache;
  readonly tokens: TokenManager;
  readonly log: Log;
}

export type VolumeContext = Pick<EnvironmentContext, 'podIps' | 'hostIps' | 'allocatable'>;

const mountTimeoutMs = 20_000;

export class VolumeManager {
  readonly #options: VolumeManagerOptions;

  constructor(options: VolumeManagerOptions) {
    this.#options = options;
  }

  podDirectory(podUid: string): string {
    return `${this.#options.rootDirectory}/pods/${podUid}`;
  }

  /** Makes or brings up to date every volume of the pod; host path by volume name. Rejects with a VolumeError. */
  async setUp(pod: KubeObject, context: VolumeContext): Promise<Map<string, string>> {
    const paths = new Map<string, string>();
    for (const volume of (pod.spec?.volumes ?? []) as JsonObject[]) {
      paths.set(volume.name as string, await this.#setUpVolume(pod, volume, context));
    }
    return paths;
  }

  /** Rewrites what came from the API; true when a file changed. */
  async refresh(pod: KubeObject, context: VolumeContext): Promise<boolean> {
    let hasChanged = false;
    for (const volume of (pod.spec?.volumes ?? []) as JsonObject[]) {
      if (!isPayloadVolume(volume)) continue;
      if (await this.#writeFiles(pod, volume, this.#path(pod, volume), context)) hasChanged = true;
    }
    return hasChanged;
  }

  /** Takes everything of the pod away. Rejects when a mount cannot be taken away: the caller tries again. */
  async tearDown(podUid: string): Promise<void> {
    const { files, tokens } = this.#options;
    const directory = this.podDirectory(podUid);
    const mounts = await this.#mountPoints();
    for (const path of mounts.filter((each) => each.startsWith(`${directory}/`)).reverse()) {
      await this.#run('umount', [path]);
    }
    await files.removeAll(directory);
    tokens.forget(podUid);
  }

  /** Uids of pods that left something on the disk. */
  podUids(): Promise<readonly string[]> {
    return this.#options.files.list(`${this.#options.rootDirectory}/pods`);
  }

  #path(pod: KubeObject, volume: JsonObject): string {
    return `${this.podDirectory(pod.metadata.uid)}/volumes/${volume.name}`;
  }

  async #setUpVolume(pod: KubeObject, volume: JsonObject, context: VolumeContext): Promise<string> {
    const { files } = this.#options;
    if (volume.hostPath) return this.#hostPath(volume);
    const path = this.#path(pod, volume);
    const group = pod.spec?.securityContext?.fsGroup as number | undefined;
    if (volume.emptyDir) {
      // The directory is there already when the agent was restarted; its content is the pod's.
      if ((await files.kind(path)) === 'none') {
        await files.makeDirectory(path, 0o777);
        if (volume.emptyDir.medium === 'Memory') await this.#mountMemory(path, volume.emptyDir);
        if (group !== undefined) {
          await files.changeOwner(path, 0, group);
          await files.changeMode(path, 0o2777);
        }
      }
      return path;
    }
    if (isPayloadVolume(volume)) {
      await files.makeDirectory(path, 0o755);
      await this.#writeFiles(pod, volume, path, context);
      return path;
    }
    const kinds = Object.keys(volume).filter((key) => key !== 'name');
    throw new VolumeError(`volume ${volume.name} has the unsupported type ${kinds.join(', ')}`);
  }

  async #writeFiles(pod: KubeObject, volume: JsonObject, path: string, context: VolumeContext): Promise<boolean> {
    const { objects, tokens, files } = this.#options;
    const references = volumeReferences(volume);
    const namespace = pod.metadata.namespace ?? '';
    const [configMaps, secrets, texts] = await Promise.all([
      objects.configMaps(namespace, references.configMaps),
      objects.secrets(namespace, references.secrets),
      Promise.all(references.tokens.map((source) => tokens.token(pod, source))),
    ]);
    const sources: PayloadSources = {
      configMap: (name) => configMaps.get(name),
      secret: (name) => secrets.get(name),
      token: (source) =>
        texts[
          references.tokens.findIndex(
            (each) => each.audience === source.audience && each.expirationSeconds === source.expirationSeconds,
          )
        ],
    };
    const container = (pod.spec?.containers?.[0] ?? {}) as JsonObject;
    const payload = volumePayload(volume, { ...context, pod, container }, sources);
    const gid = pod.spec?.securityContext?.fsGroup as number | undefined;
    return writePayload(files, path, payload, { gid });
  }

  async #hostPath(volume: JsonObject): Promise<string> {
    const { files } = this.#options;
    const path = volume.hostPath.path as string;
    const type = (volume.hostPath.type as string | undefined) ?? '';
    const wanted = {
      Directory: 'directory',
      File: 'file',
      Socket: 'socket',
      CharDevice: 'characterDevice',
      BlockDevice: 'blockDevice',
    } as const;
    const kind = await files.kind(path);
    if (type === 'DirectoryOrCreate' && kind === 'none') await files.makeDirectory(path, 0o755);
    else if (type === 'FileOrCreate' && kind === 'none') await files.writeFile(path, '', 0o644);
    else if (type in wanted && kind !== wanted[type as keyof typeof wanted]) {
      throw new VolumeError(
        `hostPath type check failed: ${path} is ${kind}, want ${wanted[type as keyof typeof wanted]}`,
      );
    } else if (type === '' && kind === 'none') {
      // As runtimes do it for a bind mount whose source is not there.
      await files.makeDirectory(path, 0o755);
    }
    return path;
  }

  async #mountMemory(path: string, emptyDir: JsonObject): Promise<void> {
    const size = quantityValue(emptyDir.sizeLimit);
    const options = size === undefined ? 'mode=0777' : `mode=0777,size=${Math.floor(size)}`;
    await this.#run('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', path]);
  }

  async #mountPoints(): Promise<string[]> {
    const text = await this.#options.files.readFile('/proc/self/mountinfo');
    const lines = Buffer.from(text ?? new Uint8Array())
      .toString()
      .split('\n');
    // Fields are separated by one space; a space inside a path is written as \040.
    const unescape = (path: string) =>
      path.replace(/\\(\d{3})/g, (_, code) => String.fromCharCode(Number.parseInt(code, 8)));
    return lines.map((line) => unescape(line.split(' ')[4] ?? '')).filter((path) => path !== '');
  }

  async #run(command: string, args: readonly string[]): Promise<void> {
    const result = await this.#options.processes.run(command, args, { timeoutMs: mountTimeoutMs });
    if (result.exitCode === 0) return;
    throw new KeelsonError(
      'MOUNT',
      `${command} ${args.join(' ')} ended with ${result.exitCode}: ${result.stderr.trim()}`,
    );
  }
}
