/**
 * Gets a container's image to the node. One pull at a time, because two at once share the same line and disk; the same
 * image is pulled once for all who wait. A failed pull is not tried again before its back-off is over.
 */
import type { KubeObject } from '../../control/api/contract.ts';
import type { Clock } from '../../env/clock.ts';
import type { Cri, Image, ImageAuth, PodSandboxConfig } from '../cri/cri.ts';
import { CriError } from '../cri/cri.ts';

/** Why an image is not there; `reason` is what the container waits with. */
export class ImageError extends Error {
  override readonly name = 'ImageError';
  readonly reason: 'ErrImagePull' | 'ImagePullBackOff' | 'ErrImageNeverPull' | 'InvalidImageName' | 'ImageInspectError';
  readonly retryAtMs: number;
  constructor(reason: ImageError['reason'], message: string, retryAtMs: number) {
    super(message);
    this.reason = reason;
    this.retryAtMs = retryAtMs;
  }
}

export interface ImageRequest {
  readonly image: string;
  readonly policy: 'Always' | 'IfNotPresent' | 'Never';
  readonly secrets: readonly KubeObject[];
  readonly sandbox: PodSandboxConfig;
}

export interface ImageResult {
  readonly image: Image;
  readonly wasPulled: boolean;
  readonly pullMs: number;
}

const pullDelayInitialMs = 10_000;
const pullDelayMaxMs = 300_000;
// More names than pods fit on a node; beyond it the oldest back-off is forgotten.
const failuresMax = 512;

interface Failure {
  readonly delayMs: number;
  readonly retryAtMs: number;
}

export class ImageManager {
  readonly #cri: Cri;
  readonly #clock: Clock;
  readonly #failures = new Map<string, Failure>();
  readonly #pulling = new Map<string, Promise<string>>();
  #lastPull: Promise<unknown> = Promise.resolve();

  constructor(cri: Cri, clock: Clock) {
    this.#cri = cri;
    this.#clock = clock;
  }

  /** Rejects with an ImageError. `onPull` is called when a pull begins. */
  async ensure(request: ImageRequest, onPull: () => void): Promise<ImageResult> {
    const { image, policy } = request;
    const nowMs = this.#clock.wallMs();
    const present = await this.#inspect(image);
    if (present !== undefined && policy !== 'Always') return { image: present, wasPulled: false, pullMs: 0 };
    if (policy === 'Never') {
      const text = `Container image "${image}" is not present with pull policy of Never`;
      throw new ImageError('ErrImageNeverPull', text, nowMs + pullDelayInitialMs);
    }
    const failure = this.#failures.get(image);
    if (failure !== undefined && nowMs < failure.retryAtMs) {
      throw new ImageError('ImagePullBackOff', `Back-off pulling image "${image}"`, failure.retryAtMs);
    }
    onPull();
    const startedAtMs = this.#clock.monotonicMs();
    try {
      await this.#pull(request);
    } catch (error) {
      if (!(error instanceof CriError)) throw error;
      const delayMs = Math.min(failure === undefined ? pullDelayInitialMs : failure.delayMs * 2, pullDelayMaxMs);
      const retryAtMs = this.#clock.wallMs() + delayMs;
      this.#remember(image, { delayMs, retryAtMs });
      throw new ImageError('ErrImagePull', `failed to pull image "${image}": ${error.detail}`, retryAtMs);
    }
    this.#failures.delete(image);
    const pulled = await this.#inspect(image);
    if (pulled === undefined) {
      throw new ImageError(
        'ImageInspectError',
        `image "${image}" was pulled and is not there`,
        nowMs + pullDelayInitialMs,
      );
    }
    return { image: pulled, wasPulled: true, pullMs: this.#clock.monotonicMs() - startedAtMs };
  }

  async #inspect(image: string): Promise<Image | undefined> {
    try {
      return await this.#cri.imageStatus(image);
    } catch (error) {
      if (!(error instanceof CriError)) throw error;
      const retryAtMs = this.#clock.wallMs() + pullDelayInitialMs;
      // The runtime could not read the name, or could not look: only the first will stay.
      const isName = /invalid reference format|repository name/.test(error.detail);
      throw new ImageError(
        isName ? 'InvalidImageName' : 'ImageInspectError',
        isName
          ? `Failed to apply default image tag "${image}": couldn't parse image name "${image}": ${error.detail}`
          : `Failed to inspect image "${image}": ${error.detail}`,
        retryAtMs,
      );
    }
  }

  #pull(request: ImageRequest): Promise<string> {
    const running = this.#pulling.get(request.image);
    if (running !== undefined) return running;
    const auth = imageAuth(request.image, request.secrets);
    const pulling = this.#lastPull.then(() => this.#cri.pullImage(request.image, auth, request.sandbox));
    this.#lastPull = pulling.catch(() => undefined);
    this.#pulling.set(request.image, pulling);
    const done = () => this.#pulling.delete(request.image);
    pulling.then(done, done);
    return pulling;
  }

  #remember(image: string, failure: Failure): void {
    this.#failures.delete(image);
    this.#failures.set(image, failure);
    if (this.#failures.size > failuresMax) {
      const oldest = this.#failures.keys().next().value;
      if (oldest !== undefined) this.#failures.delete(oldest);
    }
  }
}

/** The pull policy that holds: `:latest` or no tag means Always. */
export function pullPolicy(policy: unknown, image: string): ImageRequest['policy'] {
  if (policy === 'Always' || policy === 'IfNotPresent' || policy === 'Never') return policy;
  const tag = /:([^:/@]+)$/.exec(image)?.[1];
  return !image.includes('@') && (tag === undefined || tag === 'latest') ? 'Always' : 'IfNotPresent';
}

/** Credentials for the image's registry out of image pull secrets. Pure. */
export function imageAuth(image: string, secrets: readonly KubeObject[]): ImageAuth | undefined {
  const first = image.split('/')[0] as string;
  const hasRegistry = image.includes('/') && (first.includes('.') || first.includes(':') || first === 'localhost');
  const registry = hasRegistry ? first : 'docker.io';
  for (const secret of secrets) {
    const encoded = secret.data?.['.dockerconfigjson'] as string | undefined;
    if (encoded === undefined) continue;
    let auths: Record<string, { username?: string; password?: string; auth?: string; identitytoken?: string }>;
    try {
      auths = JSON.parse(Buffer.from(encoded, 'base64').toString()).auths ?? {};
    } catch {
      // A secret that cannot be read is as good as none: the pull says that it was refused.
      continue;
    }
    for (const [server, entry] of Object.entries(auths)) {
      const host = server.replace(/^https?:\/\//, '').split('/')[0];
      if (host !== registry && !(registry === 'docker.io' && host === 'index.docker.io')) continue;
      const [user, ...password] = Buffer.from(entry.auth ?? '', 'base64')
        .toString()
        .split(':');
      return {
        username: entry.username ?? user ?? '',
        password: entry.password ?? password.join(':'),
        serverAddress: server,
        identityToken: entry.identitytoken ?? '',
      };
    }
  }
  return undefined;
}
