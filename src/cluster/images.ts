/** The images a cluster starts with, made on the machine from its static busybox: the pods' pause image, and one to try things with. */
import type { Env } from '../env/env.ts';
import { KeelsonError } from '../env/errors.ts';
import { writeFileAtomic } from '../env/files.ts';
import { writeOciImage } from '../node/cri/oci-image.ts';
import { demoImage, pauseImage } from './plan.ts';

const busyboxPath = '/bin/busybox';

/** Serves its own name, so that one sees which pod answered; /healthz for probes; the content of a mounted file, if any. */
const demoScript = `#!/bin/sh
mkdir -p /www/cgi-bin
printf 'ok\\n' >/www/healthz
printf '#!/bin/sh\\nprintf "Content-Type: text/plain\\\\r\\\\n\\\\r\\\\n"\\nhostname\\n' >/www/cgi-bin/hostname
chmod 755 /www/cgi-bin/hostname
hostname >/www/index.html
[ -r /config/greeting ] && cat /config/greeting >>/www/index.html
echo "serving on port \${PORT:-8080} as $(hostname)"
exec httpd -f -v -p "\${PORT:-8080}" -h /www
`;

/** Prints what an address answers: `fetch web/index.html`. Debian's static busybox crashes in its own wget. */
const fetchScript = `#!/bin/sh
target=\${1#http://}
host=\${target%%/*}
path=/\${target#*/}
[ "$path" = "/$target" ] && path=/
port=80
case $host in *:*) port=\${host#*:}; host=\${host%%:*} ;; esac
answer=$(printf 'GET %s HTTP/1.0\\r\\nHost: %s\\r\\n\\r\\n' "$path" "$host" | nc -w 5 "$host" "$port") || exit 1
[ -n "$answer" ] || exit 1
printf '%s\\n' "$answer" | sed '1,/^\\r*$/d'
`;

/** A pause container does nothing but hold the pod's namespaces, and ends when it is asked to. */
const pauseCommand = ['/bin/busybox', 'sh', '-c', "trap 'exit 0' TERM INT; while :; do sleep 86400 & wait $!; done"];

const machineArchitectures: Readonly<Record<string, string>> = { x86_64: 'amd64', aarch64: 'arm64' };

/** Writes the images as tars under `directory` and returns their paths. */
export async function ensureImages(
  env: Pick<Env, 'disk' | 'processes'>,
  directory: string,
): Promise<readonly string[]> {
  const busybox = await env.disk.readFile(busyboxPath);
  const machine = (await env.processes.run('uname', ['-m'])).stdout.trim();
  const architecture = machineArchitectures[machine];
  if (architecture === undefined)
    throw new KeelsonError('UNKNOWN_ARCHITECTURE', `make images: this machine is ${machine}, want x86_64 or aarch64`);
  const applets = (await env.processes.run(busyboxPath, ['--list'])).stdout
    .split('\n')
    .filter((name) => name !== '' && name !== 'busybox');
  const binary = { path: '/bin/busybox', content: busybox, mode: 0o755 } as const;
  const images = [
    {
      file: 'pause.tar',
      bytes: await writeOciImage({ name: pauseImage, files: [binary], entrypoint: pauseCommand, architecture }),
    },
    {
      file: 'demo.tar',
      bytes: await writeOciImage({
        name: demoImage,
        files: [
          binary,
          ...applets.map((name) => ({ path: `/bin/${name}`, linkTo: 'busybox' })),
          { path: '/bin/demo', content: new TextEncoder().encode(demoScript), mode: 0o755 },
          { path: '/bin/fetch', content: new TextEncoder().encode(fetchScript), mode: 0o755 },
          { path: '/tmp', directory: true, mode: 0o1777 },
          {
            path: '/etc/passwd',
            content: new TextEncoder().encode('root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n'),
          },
          { path: '/etc/group', content: new TextEncoder().encode('root:x:0:\nnobody:x:65534:\n') },
        ],
        cmd: ['/bin/demo'],
        env: { PATH: '/bin' },
        architecture,
      }),
    },
  ];
  await env.disk.makeDirectory(directory);
  const paths: string[] = [];
  for (const image of images) {
    const path = `${directory}/${image.file}`;
    await writeFileAtomic(env.disk, path, image.bytes);
    paths.push(path);
  }
  return paths;
}

/** Imports the tars into a containerd that answers on `socket`. */
export async function importImages(
  env: Pick<Env, 'processes'>,
  socket: string,
  paths: readonly string[],
): Promise<void> {
  for (const path of paths) {
    const result = await env.processes.run(
      'ctr',
      ['--address', socket, '--namespace', 'k8s.io', 'images', 'import', path],
      { timeoutMs: 60_000 },
    );
    if (result.exitCode !== 0)
      throw new KeelsonError('IMAGE_IMPORT_FAILED', `import ${path} into ${socket}: ${result.stderr.trim()}`);
  }
}
