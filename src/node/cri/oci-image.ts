/**
 * Writes one-layer OCI images, as a tar that `ctr images import` takes. Pure: bytes in, bytes out, the same bytes for
 * the same input. For the pause image and the demo images, which are made on the machine from a static busybox.
 */
import { createHash } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { pack } from 'tar-stream';
import { assert } from '../../env/assert.ts';

export interface OciImageOptions {
  /** Full name with registry and tag, e.g. `keelson.local/pause:1`. */
  readonly name: string;
  readonly files: readonly OciFile[];
  readonly entrypoint?: readonly string[];
  readonly cmd?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly workingDirectory?: string;
  readonly user?: string;
  readonly labels?: Readonly<Record<string, string>>;
  /** `amd64` or `arm64`, that of the binary inside. */
  readonly architecture: string;
}

/** `path` is absolute inside the image. Parent directories are made. */
export type OciFile =
  | { readonly path: string; readonly content: Uint8Array; readonly mode?: number }
  | { readonly path: string; readonly linkTo: string }
  | { readonly path: string; readonly directory: true; readonly mode?: number };

// Image times are pinned, so that the same input has the same digest on every machine.
const epoch = new Date(0);

function sha256(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

async function tar(entries: readonly OciFile[]): Promise<Buffer> {
  const archive = pack();
  const chunks: Buffer[] = [];
  const drained = (async () => {
    for await (const chunk of archive) chunks.push(chunk as Buffer);
  })();
  for (const entry of entries) {
    const name = entry.path.replace(/^\//, '');
    if ('linkTo' in entry) archive.entry({ name, type: 'symlink', linkname: entry.linkTo, mtime: epoch });
    else if ('directory' in entry)
      archive.entry({ name: `${name}/`, type: 'directory', mode: entry.mode ?? 0o755, mtime: epoch });
    else archive.entry({ name, mode: entry.mode ?? 0o644, mtime: epoch }, Buffer.from(entry.content));
  }
  archive.finalize();
  await drained;
  return Buffer.concat(chunks);
}

/** Every parent directory once, before what is in it. */
function withParents(files: readonly OciFile[]): OciFile[] {
  const known = new Set(files.filter((file) => 'directory' in file).map((file) => file.path));
  const out: OciFile[] = [];
  for (const file of files) {
    const parts = file.path.split('/').slice(1, -1);
    for (let depth = 1; depth <= parts.length; depth++) {
      const path = `/${parts.slice(0, depth).join('/')}`;
      if (known.has(path)) continue;
      known.add(path);
      out.push({ path, directory: true });
    }
    out.push(file);
  }
  return out;
}

/** The image as an OCI layout in a tar. */
export async function writeOciImage(options: OciImageOptions): Promise<Uint8Array> {
  assert(
    /^[^/]+\.[^/]+\/.+:[^/:]+$/.test(options.name),
    () => `an image name needs registry and tag, not ${options.name}`,
  );
  assert(
    options.files.every((file) => file.path.startsWith('/') && file.path.length > 1),
    'paths inside an image are absolute',
  );
  const layer = await tar(withParents(options.files));
  const compressed = gzipSync(layer, { level: 6 });
  const config = Buffer.from(
    JSON.stringify({
      created: epoch.toISOString(),
      architecture: options.architecture,
      os: 'linux',
      config: {
        Env: Object.entries({ PATH: '/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin', ...options.env }).map(
          ([name, value]) => `${name}=${value}`,
        ),
        ...(options.entrypoint === undefined ? {} : { Entrypoint: options.entrypoint }),
        ...(options.cmd === undefined ? {} : { Cmd: options.cmd }),
        ...(options.workingDirectory === undefined ? {} : { WorkingDir: options.workingDirectory }),
        ...(options.user === undefined ? {} : { User: options.user }),
        ...(options.labels === undefined ? {} : { Labels: options.labels }),
      },
      rootfs: { type: 'layers', diff_ids: [sha256(layer)] },
      history: [{ created: epoch.toISOString(), created_by: 'keelson' }],
    }),
  );
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      config: { mediaType: 'application/vnd.oci.image.config.v1+json', digest: sha256(config), size: config.length },
      layers: [
        {
          mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip',
          digest: sha256(compressed),
          size: compressed.length,
        },
      ],
    }),
  );
  const index = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: 'application/vnd.oci.image.index.v1+json',
      manifests: [
        {
          mediaType: 'application/vnd.oci.image.manifest.v1+json',
          digest: sha256(manifest),
          size: manifest.length,
          platform: { architecture: options.architecture, os: 'linux' },
          annotations: {
            'io.containerd.image.name': options.name,
            'org.opencontainers.image.ref.name': options.name.slice(options.name.lastIndexOf(':') + 1),
          },
        },
      ],
    }),
  );
  const blob = (content: Buffer): OciFile => ({ path: `/blobs/sha256/${sha256(content).slice(7)}`, content });
  return tar(
    withParents([
      { path: '/oci-layout', content: Buffer.from('{"imageLayoutVersion":"1.0.0"}') },
      { path: '/index.json', content: index },
      blob(manifest),
      blob(config),
      blob(compressed),
    ]),
  );
}

/** What `process.arch` is called in images. */
export function imageArchitecture(arch: string): string {
  return arch === 'x64' ? 'amd64' : arch;
}
