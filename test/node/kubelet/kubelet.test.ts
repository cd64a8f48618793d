/**
 * The agent on a whole real node: etcd, API server, containerd, `keelson node`, kubectl. The file runs itself again in a
 * network namespace of its own, so that addresses and ports are as on a node and nothing is left behind.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { connect } from 'node:net';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { missingForContainerd, testImage } from '../../contract/cri-containerd.ts';
import { runProgram } from '../../support/e2e.ts';
import { conditionOf, type Json, NodeStand } from './node-stand.ts';

const insideVariable = 'KEELSON_TEST_NODE_INSIDE';
const file = fileURLToPath(import.meta.url);

if (process.env[insideVariable] === undefined) outside();
else inside();

function outside(): void {
  const missing = missingForContainerd();
  test(
    'the agent runs pods on a real node',
    missing === undefined ? { timeout: 180_000 } : { skip: missing },
    async () => {
      const { NODE_TEST_CONTEXT: _, ...environment } = process.env;
      const command = ['--net', process.execPath, '--test', '--test-reporter=spec', file];
      const result = await new Promise<{ code: number | null; output: string }>((resolve, reject) => {
        const child = spawn('unshare', command, { env: { ...environment, [insideVariable]: '1' } });
        let output = '';
        for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk));
        child.on('error', reject);
        child.on('close', (code) => resolve({ code, output }));
      });
      assert.equal(result.code, 0, result.output);
    },
  );
}

function inside(): void {
  const stand = new NodeStand();
  before(async () => {
    await stand.start();
    // The API server gives pods their service account's token as soon as there is a service account.
    await stand.until(
      'the namespace can take pods',
      async () => (await stand.get('serviceaccount', 'default')) !== undefined,
    );
  });
  after(() => stand.stop());

  const loop = 'trap "exit 0" TERM; while :; do sleep 1 & wait; done';
  const pod = (name: string, container: Json, more: Json = {}): Json => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'default', labels: { app: name } },
    spec: {
      nodeName: stand.nodeName,
      terminationGracePeriodSeconds: 5,
      containers: [{ name: 'main', image: testImage, command: ['sh', '-c', loop], ...container }],
      ...more,
    },
  });
  const main = (object: Json): Json => object?.status?.containerStatuses?.[0];
  const untilPod = (name: string, what: string, is: (object: Json) => boolean) =>
    stand.until(`pod ${name} ${what}`, async () => {
      const object = await stand.get('pod', name);
      return object !== undefined && is(object) ? object : undefined;
    });
  const untilReady = (name: string) => untilPod(name, 'is ready', (object) => conditionOf(object, 'Ready') === 'True');
  const untilGone = (name: string) =>
    stand.until(`pod ${name} is gone`, async () => (await stand.get('pod', name)) === undefined);
  const exec = async (name: string, ...command: string[]) => (await stand.ok('exec', name, '--', ...command)).trim();
  const remove = (...names: string[]) => stand.ok('delete', 'pod', '--wait=false', ...names);

  test('a pod starts in order, with its environment, volumes and names, and answers logs and exec', async () => {
    await stand.apply({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'settings', namespace: 'default' },
      data: { color: 'red', 'a.txt': 'alpha' },
    });
    await stand.apply({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'keys', namespace: 'default' },
      stringData: { key: 's3cret' },
    });
    const container = {
      command: ['sh', '-c', `echo "$(MESSAGE)"; ${loop}`],
      env: [
        { name: 'COLOR', valueFrom: { configMapKeyRef: { name: 'settings', key: 'color' } } },
        { name: 'KEY', valueFrom: { secretKeyRef: { name: 'keys', key: 'key' } } },
        { name: 'POD_IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } },
        { name: 'MESSAGE', value: 'color=$(COLOR)' },
      ],
      volumeMounts: [
        { name: 'shared', mountPath: '/shared' },
        { name: 'settings', mountPath: '/settings' },
        { name: 'memory', mountPath: '/memory' },
        { name: 'settings', mountPath: '/one.txt', subPath: 'a.txt' },
      ],
      resources: { limits: { memory: '64Mi', cpu: '500m' } },
    };
    const mounts = [{ name: 'shared', mountPath: '/shared' }];
    await stand.apply(
      pod('whole', container, {
        initContainers: [
          {
            name: 'first',
            image: testImage,
            command: ['sh', '-c', 'echo first >> /shared/order'],
            volumeMounts: mounts,
          },
          {
            name: 'side',
            image: testImage,
            restartPolicy: 'Always',
            command: ['sh', '-c', `echo side >> /shared/order; ${loop}`],
            volumeMounts: mounts,
            startupProbe: { exec: { command: ['cat', '/shared/order'] }, periodSeconds: 1 },
          },
          {
            name: 'second',
            image: testImage,
            command: ['sh', '-c', 'echo second >> /shared/order'],
            volumeMounts: mounts,
          },
        ],
        volumes: [
          { name: 'shared', emptyDir: {} },
          { name: 'memory', emptyDir: { medium: 'Memory', sizeLimit: '1Mi' } },
          { name: 'settings', configMap: { name: 'settings', defaultMode: 0o440 } },
        ],
      }),
    );
    const object = await untilReady('whole');
    assert.equal(object.status.phase, 'Running');
    assert.match(object.status.podIP, /^10\.244\.5\.\d+$/);
    assert.equal(object.status.qosClass, 'Burstable');
    assert.equal(object.status.initContainerStatuses.length, 3);
    assert.equal(await exec('whole', 'cat', '/shared/order'), 'first\nside\nsecond');
    assert.equal(await exec('whole', 'cat', '/settings/color', '/one.txt'), 'redalpha');
    assert.equal(await exec('whole', 'sh', '-c', 'echo $COLOR $KEY $POD_IP'), `red s3cret ${object.status.podIP}`);
    assert.match(await exec('whole', 'cat', '/proc/mounts'), /^tmpfs \/memory tmpfs/m);
    assert.match(await exec('whole', 'cat', '/etc/resolv.conf'), /nameserver 10\.96\.0\.10/);
    assert.match(await exec('whole', 'cat', '/var/run/secrets/kubernetes.io/serviceaccount/token'), /^ey/);
    assert.equal((await stand.ok('logs', 'whole', '-c', 'main')).trim(), 'color=red');
    assert.equal((await stand.ok('logs', 'whole', '-c', 'main', '--tail=0')).trim(), '');
    const events = await stand.ok('get', 'events', '--field-selector', 'involvedObject.name=whole', '-o', 'name');
    assert.ok(events.split('\n').length > 6, events);
    // Looked for further down: it takes up to half a minute.
    await stand.ok('patch', 'configmap', 'settings', '-p', '{"data":{"color":"blue"}}');
  });

  test('a pod that ends is Succeeded or Failed, and says its last words', async () => {
    await stand.apply(
      pod('fine', { command: ['sh', '-c', 'echo done > /dev/termination-log'] }, { restartPolicy: 'Never' }),
    );
    await stand.apply(
      pod(
        'bad',
        { command: ['sh', '-c', 'echo why; exit 4'], terminationMessagePolicy: 'FallbackToLogsOnError' },
        { restartPolicy: 'Never' },
      ),
    );
    const fine = await untilPod('fine', 'has ended', (object) => object.status?.phase === 'Succeeded');
    assert.equal(main(fine).state.terminated.message, 'done\n');
    assert.equal(main(fine).state.terminated.reason, 'Completed');
    const bad = await untilPod('bad', 'has failed', (object) => object.status?.phase === 'Failed');
    assert.equal(main(bad).state.terminated.exitCode, 4);
    assert.equal(main(bad).state.terminated.message, 'why\n');
    assert.equal(main(bad).restartCount, 0);
    assert.equal((await stand.ok('logs', 'bad')).trim(), 'why');
    await remove('fine', 'bad');
    await Promise.all([untilGone('fine'), untilGone('bad')]);
  });

  test('a container that crashes is restarted at once, then backs off', async () => {
    await stand.apply(pod('crash', { command: ['sh', '-c', 'echo run; exit 1'] }));
    const object = await untilPod(
      'crash',
      'backs off',
      (each) => main(each)?.state?.waiting?.reason === 'CrashLoopBackOff',
    );
    assert.equal(main(object).restartCount, 1);
    assert.equal(main(object).lastState.terminated.exitCode, 1);
    assert.match(
      main(object).state.waiting.message,
      /^back-off 10s restarting failed container=main pod=crash_default\(/,
    );
    assert.equal((await stand.ok('logs', 'crash', '--previous')).trim(), 'run');
    await remove('crash');
  });

  test('what cannot start says why', async () => {
    await stand.apply(pod('noimage', { image: '127.0.0.1:1/no/image:1' }));
    await stand.apply(pod('never', { image: '127.0.0.1:1/no/image:2', imagePullPolicy: 'Never' }));
    await stand.apply(pod('noconfig', { envFrom: [{ configMapRef: { name: 'absent' } }] }));
    const reason = (name: string, wanted: string) =>
      untilPod(name, wanted, (object) => main(object)?.state?.waiting?.reason === wanted);
    await reason('noimage', 'ErrImagePull');
    await reason('noimage', 'ImagePullBackOff');
    await reason('never', 'ErrImageNeverPull');
    const noconfig = await reason('noconfig', 'CreateContainerConfigError');
    assert.equal(main(noconfig).state.waiting.message, 'configmap "absent" not found');
    await remove('noimage', 'never', 'noconfig');
    await Promise.all(['noimage', 'never', 'noconfig'].map(untilGone));
  });

  test('probes decide readiness and restarts', async () => {
    const probe = { periodSeconds: 1, failureThreshold: 1 };
    await stand.apply(
      pod(
        'probed',
        {
          command: ['sh', '-c', 'mkdir -p /tmp/www; touch /tmp/alive; httpd -p 8080 -h /tmp/www; exec sleep 3600'],
          ports: [{ name: 'web', containerPort: 8080 }],
          readinessProbe: { httpGet: { path: '/ready', port: 'web' }, ...probe },
          livenessProbe: { exec: { command: ['cat', '/tmp/alive'] }, ...probe },
        },
        { terminationGracePeriodSeconds: 1 },
      ),
    );
    const unready = await untilPod('probed', 'runs', (object) => main(object)?.state?.running !== undefined);
    assert.equal(main(unready).ready, false);
    await exec('probed', 'sh', '-c', 'echo ok > /tmp/www/ready');
    await untilReady('probed');
    await exec('probed', '/bin/busybox', 'rm', '/tmp/www/ready');
    await untilPod('probed', 'is not ready', (object) => conditionOf(object, 'Ready') === 'False');
    await exec('probed', '/bin/busybox', 'rm', '/tmp/alive');
    await untilPod('probed', 'was restarted', (object) => main(object)?.restartCount === 1);
    await remove('probed');
  });

  test('deletion runs preStop, sends the signal, and the object goes when the containers are gone', async () => {
    await stand.apply(
      pod('graceful', {
        command: ['sh', '-c', 'trap "echo signal; exit 0" TERM; while :; do sleep 1 & wait; done'],
        lifecycle: { preStop: { exec: { command: ['sh', '-c', 'echo hook > /proc/1/fd/1; sleep 1'] } } },
      }),
    );
    await untilReady('graceful');
    const logs = stand.kubectl('logs', '-f', 'graceful');
    const beganAt = Date.now();
    await stand.ok('delete', 'pod', 'graceful', '--wait=true');
    assert.ok(Date.now() - beganAt < 5000, 'no longer than the grace');
    assert.equal((await logs).stdout, 'hook\nsignal\n');
    assert.deepEqual(
      await stand.containerd.cri.listPodSandboxes({ labels: { 'io.kubernetes.pod.name': 'graceful' } }),
      [],
    );
  });

  test('port-forward carries bytes both ways', async () => {
    await stand.apply(pod('echo', { command: ['sh', '-c', 'while :; do nc -l -p 9000 -e cat; done'] }));
    await untilReady('echo');
    const forward = spawn(
      'kubectl',
      ['--kubeconfig', `${stand.directory}/admin.kubeconfig`, 'port-forward', 'pod/echo', ':9000'],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    try {
      const port = await new Promise<number>((resolve, reject) => {
        let text = '';
        forward.stdout.on('data', (chunk) => {
          text += chunk;
          const found = /127\.0\.0\.1:(\d+)/.exec(text);
          if (found) resolve(Number(found[1]));
        });
        forward.on('exit', (code) => reject(new Error(`port-forward ended with ${code}`)));
      });
      const answer = await new Promise<string>((resolve, reject) => {
        const socket = connect(port, '127.0.0.1', () => socket.write('ping\n'));
        socket.on('data', (chunk) => {
          resolve(chunk.toString());
          socket.destroy();
        });
        socket.on('error', reject);
        socket.setTimeout(10_000, () => reject(new Error('no answer')));
      });
      assert.equal(answer, 'ping\n');
    } finally {
      forward.kill();
    }
    await remove('echo');
  });

  test('a changed ConfigMap has reached the running pod', { timeout: 60_000 }, async () => {
    await stand.until(
      'the file changes',
      async () => (await exec('whole', 'cat', '/settings/color')) === 'blue',
      50_000,
    );
    await remove('whole');
  });

  test('the agent goes away and comes back: containers run on, pods deleted meanwhile are taken away', async () => {
    await stand.apply(pod('stays', { readinessProbe: { exec: { command: ['true'] }, periodSeconds: 1 } }));
    await stand.apply(pod('goes', {}));
    const before = await untilReady('stays');
    await untilReady('goes');
    assert.equal(await stand.stopAgent(), 0);
    await remove('goes');
    await stand.ok('delete', 'pod', 'goes', '--grace-period=0', '--force');
    stand.startAgent();
    await stand.until('the orphan is gone', async () => {
      return (
        (await stand.containerd.cri.listPodSandboxes({ labels: { 'io.kubernetes.pod.name': 'goes' } })).length === 0
      );
    });
    await stand.stopAgent('SIGKILL');
    stand.startAgent();
    await stand.until('the agent answers', async () => (await stand.kubectl('logs', 'stays')).code === 0);
    const after = await untilReady('stays');
    assert.equal(main(after).containerID, main(before).containerID);
    assert.equal(main(after).restartCount, 0);
    const transition = (object: Json) =>
      object.status.conditions.find((each: Json) => each.type === 'Ready').lastTransitionTime;
    assert.equal(transition(after), transition(before), 'a restarted agent does not make a ready pod flap');
  });

  test('a ready pod marked not ready while its node was silent is ready again when the node is heard', async () => {
    const lost = { type: 'Ready', status: 'False', lastTransitionTime: new Date().toISOString() };
    const patch = JSON.stringify({ status: { conditions: [lost] } });
    await stand.ok('patch', 'pod', 'stays', '--subresource=status', '--type=strategic', '-p', patch);
    await untilReady('stays');
    await stand.ok('delete', 'pod', 'stays');
  });

  test('the agent answers for itself', async () => {
    const metrics = await stand
      .ok('get', '--raw', `/api/v1/nodes/${stand.nodeName}/proxy/metrics`)
      .catch((error) => String(error));
    const direct = await runProgram('sh', [
      '-c',
      `curl -sk --cert ${stand.directory}/admin.crt --key ${stand.directory}/admin.key https://10.77.0.11:10250/metrics`,
    ]);
    assert.match(direct.stdout || metrics, /kubelet_running_pods \d/);
    const refused = await runProgram('curl', [
      '-sk',
      '-o',
      '/dev/null',
      '-w',
      '%{http_code}',
      'https://10.77.0.11:10250/pods',
    ]);
    assert.equal(refused.stdout, '401');
    const lease = JSON.parse(await stand.ok('get', 'lease', '-n', 'kube-node-lease', stand.nodeName, '-o', 'json'));
    assert.ok(Date.now() - Date.parse(lease.spec.renewTime) < 20_000);
  });
}
