/**
 * A containerd of the test's own: root, state, socket, CNI configuration and network namespace in a temporary directory,
 * and an image of busybox made on the spot. `stop` takes all of it away.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { GrpcCri } from '../../src/node/cri/grpc-cri.ts';
import { imageArchitecture, writeOciImage } from '../../src/node/cri/oci-image.ts';

export const pauseImage = 'keelson.local/pause:1';
export const testImage = 'keelson.local/test:1';

export interface Containerd {
  readonly cri: GrpcCri;
  readonly directory: string;
  readonly endpoint: string;
  /** Parent of every cgroup the test makes. */
  readonly cgroupRoot: string;
  stop(): Promise<void>;
}

const startTimeoutMs = 20_000;
const cniBinDirectory = ['/usr/lib/cni', '/opt/cni/bin'].find((path) => existsSync(`${path}/bridge`));

/** Why containers cannot run here; undefined when they can. */
export function missingForContainerd(): string | undefined {
  if (process.getuid?.() !== 0) return 'needs root';
  if (cniBinDirectory === undefined) return 'needs the CNI plugins (containernetworking-plugins)';
  for (const program of ['containerd', 'runc', 'ctr', 'ip', 'nsenter']) {
    const paths = ['/usr/bin', '/usr/sbin', '/bin', '/sbin', '/usr/local/bin'].map((path) => `${path}/${program}`);
    if (!paths.some(existsSync)) return `needs ${program}`;
  }
  return existsSync('/bin/busybox') ? undefined : 'needs /bin/busybox (busybox-static)';
}

export interface ContainerdOptions {
  /** Runs in the caller's network namespace; else in a new one. */
  readonly inThisNamespace?: boolean;
  /** Somebody else writes the CNI configuration, into `<directory>/cni`. */
  readonly withoutNetwork?: boolean;
}

export async function startContainerd(options: ContainerdOptions = {}): Promise<Containerd> {
  const id = randomBytes(3).toString('hex');
  const directory = mkdtempSync(join(tmpdir(), `keelson-cri-${id}-`));
  const namespace = options.inThisNamespace ? undefined : `keelson-${id}`;
  const cgroupRoot = `/keelson-test-${id}`;
  const socket = join(directory, 'c.sock');
  if (namespace !== undefined) {
    execFileSync('ip', ['netns', 'add', namespace]);
    execFileSync('ip', ['-n', namespace, 'link', 'set', 'lo', 'up']);
  }
  mkdirSync(join(directory, 'cni'));
  if (!options.withoutNetwork) writeFileSync(join(directory, 'cni', '10-test.conflist'), conflist(directory, id));
  writeFileSync(join(directory, 'config.toml'), config(directory, socket));
  const log = openSync(join(directory, 'containerd.log'), 'a');
  const command = ['containerd', '--config', join(directory, 'config.toml')];
  if (namespace !== undefined) command.unshift('nsenter', `--net=/var/run/netns/${namespace}`);
  const child = spawn(command[0] as string, command.slice(1), { stdio: ['ignore', log, log] });
  const cri = new GrpcCri({ endpoint: `unix://${socket}`, nowMs: Date.now });
  const stop = () => stopContainerd(cri, child, { directory, namespace, cgroupRoot });
  try {
    await ready(cri, child, directory, options.withoutNetwork === true);
    for (const image of [pauseImage, testImage]) await importImage(socket, directory, image);
  } catch (error) {
    await stop();
    throw error;
  }
  return { cri, directory, endpoint: `unix://${socket}`, cgroupRoot, stop };
}

async function ready(cri: GrpcCri, child: ChildProcess, directory: string, withoutNetwork: boolean): Promise<void> {
  const deadline = Date.now() + startTimeoutMs;
  for (;;) {
    try {
      const { conditions } = await cri.status();
      if (conditions.every((condition) => condition.status || (withoutNetwork && condition.type === 'NetworkReady')))
        return;
    } catch {
      // Not listening yet.
    }
    if (Date.now() > deadline || child.exitCode !== null) {
      throw new Error(
        `containerd did not start: ${readFileSync(join(directory, 'containerd.log'), 'utf8').slice(-2000)}`,
      );
    }
    await delay(50);
  }
}

async function importImage(socket: string, directory: string, name: string): Promise<void> {
  const wait = ['/bin/busybox', 'sh', '-c', "trap 'exit 0' TERM INT; while :; do sleep 3600 & wait; done"];
  const applets = [
    'sh',
    'sleep',
    'cat',
    'echo',
    'nc',
    'httpd',
    'ls',
    'id',
    'wget',
    'hostname',
    'true',
    'false',
    'kill',
  ];
  const tar = await writeOciImage({
    name,
    architecture: imageArchitecture(process.arch),
    files: [
      { path: '/bin/busybox', content: readFileSync('/bin/busybox'), mode: 0o755 },
      ...applets.map((applet) => ({ path: `/bin/${applet}`, linkTo: '/bin/busybox' })),
      { path: '/tmp', directory: true, mode: 0o1777 },
      { path: '/etc/passwd', content: Buffer.from('root:x:0:0:root:/:/bin/sh\nweb:x:1000:1000:web:/:/bin/sh\n') },
      { path: '/etc/group', content: Buffer.from('root:x:0:\nweb:x:1000:\n') },
    ],
    entrypoint: wait,
  });
  const path = join(directory, 'image.tar');
  writeFileSync(path, tar);
  execFileSync('ctr', ['-a', socket, '-n', 'k8s.io', 'images', 'import', path], { stdio: 'pipe' });
  rmSync(path);
}

async function stopContainerd(
  cri: GrpcCri,
  child: ChildProcess,
  made: { readonly directory: string; readonly namespace: string | undefined; readonly cgroupRoot: string },
): Promise<void> {
  for (const sandbox of await cri.listPodSandboxes().catch(() => [])) {
    await cri.stopPodSandbox(sandbox.id);
    await cri.removePodSandbox(sandbox.id);
  }
  cri.close();
  if (child.exitCode === null) {
    child.kill('SIGTERM');
    await once(child, 'exit');
  }
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '')
    .filter((path) => path.startsWith(made.directory));
  for (const path of mounts.reverse()) execFileSync('umount', [path]);
  if (made.namespace !== undefined) execFileSync('ip', ['netns', 'del', made.namespace]);
  rmSync(made.directory, { recursive: true, force: true });
  removeCgroups(made.cgroupRoot);
}

function removeCgroups(root: string): void {
  const found = execFileSync('find', ['/sys/fs/cgroup', '-type', 'd', '-path', `*${root}*`, '-depth'], {
    encoding: 'utf8',
  });
  for (const path of found.split('\n').filter((line) => line !== '')) execFileSync('rmdir', [path]);
}

function conflist(directory: string, id: string): string {
  return JSON.stringify({
    cniVersion: '0.4.0',
    name: 'test',
    plugins: [
      {
        type: 'bridge',
        bridge: `kt${id}`,
        isGateway: true,
        ipMasq: false,
        hairpinMode: true,
        ipam: {
          type: 'host-local',
          ranges: [[{ subnet: '10.244.77.0/24' }]],
          routes: [{ dst: '0.0.0.0/0' }],
          dataDir: join(directory, 'cni-data'),
        },
      },
      { type: 'portmap', capabilities: { portMappings: true } },
    ],
  });
}

function config(directory: string, socket: string): string {
  return `version = 2
root = "${directory}/root"
state = "${directory}/state"
disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs", "io.containerd.tracing.processor.v1.otlp", "io.containerd.internal.v1.tracing"]
[grpc]
  address = "${socket}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${pauseImage}"
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"
  disable_apparmor = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "${cniBinDirectory}"
    conf_dir = "${directory}/cni"
`;
}
