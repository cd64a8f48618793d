/** What every container runtime must do for the node agent, tried on a real containerd. */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type ContainerConfig, CriError, type PodSandboxConfig } from '../../src/node/cri/cri.ts';
import { type Containerd, missingForContainerd, startContainerd, testImage } from './cri-containerd.ts';

const missing = missingForContainerd();
const options = missing === undefined ? { timeout: 60_000 } : { skip: missing };
let runtime: Containerd;

before(async () => {
  if (missing === undefined) runtime = await startContainerd();
});
after(async () => {
  await runtime?.stop();
});

function sandbox(name: string): PodSandboxConfig {
  const logDirectory = join(runtime.directory, 'logs', name);
  mkdirSync(logDirectory, { recursive: true });
  return {
    metadata: { name, uid: `uid-${name}`, namespace: 'default', attempt: 0 },
    hostname: name,
    logDirectory,
    dns: { servers: ['10.96.0.10'], searches: ['default.svc.cluster.local'], options: ['ndots:5'] },
    portMappings: [],
    labels: { pod: name },
    annotations: { note: 'kept' },
    cgroupParent: `${runtime.cgroupRoot}/pod-${name}`,
    sysctls: {},
    securityContext: {
      namespaces: { network: 'pod', pid: 'container', ipc: 'pod' },
      supplementalGroups: [],
      readonlyRootfs: false,
      privileged: false,
    },
  };
}

function container(name: string, command: readonly string[], more: Partial<ContainerConfig> = {}): ContainerConfig {
  return {
    name,
    attempt: 0,
    image: testImage,
    userImage: testImage,
    command,
    args: [],
    workingDirectory: '',
    env: [{ name: 'GREETING', value: 'hello' }],
    mounts: [],
    devices: [],
    labels: { pod: name },
    annotations: {},
    logPath: `${name}.log`,
    stdin: false,
    stdinOnce: false,
    tty: false,
    resources: { cpuShares: 128, memoryLimitBytes: 64 * 2 ** 20, oomScoreAdj: 500 },
    securityContext: {
      namespaces: { network: 'pod', pid: 'container', ipc: 'pod' },
      capabilitiesAdd: [],
      capabilitiesDrop: [],
      privileged: false,
      readonlyRootfs: false,
      supplementalGroups: [],
      noNewPrivileges: false,
      maskedPaths: [],
      readonlyPaths: [],
    },
    ...more,
  };
}

/** Polls the runtime, as the agent does, until `state` holds. */
async function untilExited(id: string) {
  for (let look = 0; look < 200; look++) {
    const status = await runtime.cri.containerStatus(id);
    if (status?.state === 'exited') return status;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`container ${id} did not end`);
}

test('a runtime that is up says its name and that it is ready', options, async () => {
  const version = await runtime.cri.version();
  assert.equal(version.runtimeName, 'containerd');
  const { conditions } = await runtime.cri.status();
  assert.deepEqual(
    conditions.map(({ type, status }) => [type, status]).toSorted(([a], [b]) => (String(a) < String(b) ? -1 : 1)),
    [
      ['NetworkReady', true],
      ['RuntimeReady', true],
    ],
  );
});

test('a runtime that is not there is unavailable at once', options, async () => {
  const { GrpcCri } = await import('../../src/node/cri/grpc-cri.ts');
  const cri = new GrpcCri({ endpoint: join(runtime.directory, 'nothing.sock'), nowMs: Date.now });
  await assert.rejects(cri.version(), (error: CriError) => error.code === 'UNAVAILABLE');
  cri.close();
});

test('a sandbox gets an address; a container in it runs, logs, takes commands and is stopped', options, async () => {
  const { cri } = runtime;
  const config = sandbox('web');
  const sandboxId = await cri.runPodSandbox(config);
  const status = await cri.podSandboxStatus(sandboxId);
  assert.match(status?.ips[0] ?? '', /^10\.244\.77\.\d+$/);
  assert.equal(status?.isReady, true);
  assert.deepEqual(status?.metadata, config.metadata);
  assert.deepEqual(status?.labels, { pod: 'web' });

  const image = await cri.imageStatus(testImage);
  assert.ok(image, 'the imported image is known by its name');
  const command = ['sh', '-c', 'trap "exit 7" TERM; echo $GREETING; echo oops >&2; while :; do sleep 1 & wait; done'];
  const containerId = await cri.createContainer(sandboxId, container('main', command, { image: image.id }), config);
  assert.equal((await cri.containerStatus(containerId))?.state, 'created');
  await cri.startContainer(containerId);
  const running = await cri.containerStatus(containerId);
  assert.equal(running?.state, 'running');
  assert.ok(Math.abs((running?.startedAtMs ?? 0) - Date.now()) < 60_000, 'times are milliseconds of the wall clock');

  const result = await cri.execSync(containerId, ['sh', '-c', 'hostname; cat /etc/resolv.conf; exit 3'], 5);
  assert.equal(result.exitCode, 3);
  assert.match(Buffer.from(result.stdout).toString(), /^web\n[^]*ndots:5/);

  const url = await cri.exec({ containerId, command: ['true'], stdin: false, stdout: true, stderr: true, tty: false });
  assert.match(url, /^http:\/\/127\.0\.0\.1:\d+\/exec\//);
  assert.match(await cri.portForward(sandboxId, []), /\/portforward\//);

  assert.deepEqual(
    (await cri.listContainers({ labels: { pod: 'main' } })).map(({ id }) => id),
    [containerId],
  );
  assert.deepEqual(
    (await cri.listContainers({ sandboxId })).map(({ name }) => name),
    ['main'],
  );
  await cri.stopContainer(containerId, 10);
  const ended = await cri.containerStatus(containerId);
  assert.equal(ended?.state, 'exited');
  assert.equal(ended?.exitCode, 7);
  const log = readFileSync(ended?.logPath ?? '', 'utf8');
  assert.match(log, /^\S+ stdout F hello$/m);
  assert.match(log, /^\S+ stderr F oops$/m);

  await cri.stopContainer(containerId, 1);
  await cri.removeContainer(containerId);
  await cri.removeContainer(containerId);
  assert.equal(await cri.containerStatus(containerId), undefined);
  await cri.stopPodSandbox(sandboxId);
  assert.equal((await cri.podSandboxStatus(sandboxId))?.isReady, false);
  await cri.stopPodSandbox(sandboxId);
  await cri.removePodSandbox(sandboxId);
  await cri.removePodSandbox(sandboxId);
  assert.equal(await cri.podSandboxStatus(sandboxId), undefined);
});

test('a container that cannot start ends with a reason; one that ends says its exit code', options, async () => {
  const { cri } = runtime;
  const config = sandbox('ends');
  const sandboxId = await cri.runPodSandbox(config);
  const image = (await cri.imageStatus(testImage))?.id ?? '';
  const broken = await cri.createContainer(sandboxId, container('broken', ['/no/such/program'], { image }), config);
  await assert.rejects(cri.startContainer(broken), (error: CriError) => /no such file/.test(error.detail));
  const status = await cri.containerStatus(broken);
  assert.equal(status?.state, 'exited');
  assert.equal(status?.exitCode, 128);

  const failing = await cri.createContainer(
    sandboxId,
    container('failing', ['sh', '-c', 'exit 42'], { image }),
    config,
  );
  await cri.startContainer(failing);
  const ended = await untilExited(failing);
  assert.equal(ended.exitCode, 42);
  // Not later than its start: containerd takes the two times in different places, and this one ends at once.
  assert.ok(ended.finishedAtMs > 0 && ended.startedAtMs > 0);
  await cri.removePodSandbox(sandboxId);
  assert.deepEqual(await cri.listContainers({ sandboxId }), []);
});

test('an image that is nowhere is refused, and unknown until then', options, async () => {
  const { cri } = runtime;
  const name = '127.0.0.1:1/nothing/here:1';
  assert.equal(await cri.imageStatus(name), undefined);
  await assert.rejects(cri.pullImage(name, undefined, undefined), CriError);
  assert.ok((await cri.listImages()).some((image) => image.repoTags.includes(testImage)));
});
