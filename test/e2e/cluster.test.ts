/**
 * First light, as its user would try it: a real cluster of three masters and two nodes with real containers, the stock
 * kubectl and etcdctl, a real Prometheus. The tests build on each other and run in order.
 */
import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { background, commandLines, eventually, runProgram, TestCluster } from '../support/e2e.ts';

const directory = join(await mkdtemp(join(tmpdir(), 'keelson-e2e-')), 'cluster');
const cluster = new TestCluster(directory);
const shop = ['-n', 'shop'] as const;

after(async () => {
  const logs = process.env['KEELSON_KEEP'] !== undefined;
  await cluster.keelson('down');
  if (!logs) await rm(join(directory, '..'), { recursive: true });
});

// biome-ignore lint: objects as kubectl prints them
type Pod = any;

async function webPods(): Promise<Pod[]> {
  const list = await cluster.json(...shop, 'get', 'pods', '-l', 'app=web');
  return list.items.filter((pod: Pod) => pod.metadata.deletionTimestamp === undefined);
}

function isReady(pod: Pod): boolean {
  return (pod.status.conditions ?? []).some(
    (condition: { type: string; status: string }) => condition.type === 'Ready' && condition.status === 'True',
  );
}

async function readyWebPods(count: number): Promise<Pod[]> {
  const pods = (await webPods()).filter(isReady);
  assert.equal(pods.length, count, `${pods.length} ready pods, want ${count}`);
  return pods;
}

test('one command brings the cluster up and says where everything is', async () => {
  const output = await cluster.up(
    '--node-monitor-period=1s',
    '--node-monitor-grace-period=12s',
    '--default-toleration-seconds=3',
  );
  assert.match(output, /admin\.kubeconfig/);
  assert.match(output, /etcd\.env/);
  assert.match(output, /https:\/\/127\.0\.0\.1:\d+/);
  assert.match(output, /etcdctl --endpoints=/);
  assert.match(output, /metrics/);
});

test('the nodes are Ready, with address, runtime and version', async () => {
  const nodes = (await cluster.json('get', 'nodes')).items;
  assert.deepEqual(nodes.map((node: Pod) => node.metadata.name).sort(), ['n1', 'n2']);
  for (const node of nodes) {
    assert.ok(isReady(node), `${node.metadata.name} is Ready`);
    assert.match(node.status.nodeInfo.containerRuntimeVersion, /^containerd:\/\/\d/);
    assert.match(node.status.nodeInfo.kubeletVersion, /^v1\.34/);
  }
  assert.match(await cluster.kubectl('get', 'nodes', '-o', 'wide'), /INTERNAL-IP.*CONTAINER-RUNTIME/);
});

test('the shop comes up under containerd, with an address for each pod', async () => {
  await cluster.kubectl('apply', '-f', 'examples/shop.yaml');
  await cluster.kubectl(...shop, 'rollout', 'status', 'deployment/web', '--timeout=90s');
  const pods = await readyWebPods(3);
  assert.equal(new Set(pods.map((pod) => pod.status.podIP)).size, 3);
  assert.ok(new Set(pods.map((pod) => pod.spec.nodeName)).size > 1, 'the pods are spread over the nodes');
  const tasks = await runProgram('ctr', [
    '-a',
    `${directory}/nodes/${pods[0].spec.nodeName}/containerd/containerd.sock`,
    '-n',
    'k8s.io',
    'tasks',
    'ls',
  ]);
  assert.ok(
    tasks.stdout.includes(pods[0].status.containerStatuses[0].containerID.replace('containerd://', '')),
    'containerd runs the container',
  );
  await cluster.kubectl('-n', 'shop-batch', 'wait', '--for=condition=complete', 'job/stocktaking', '--timeout=90s');
  assert.match(await cluster.kubectl('-n', 'shop-batch', 'logs', 'job/stocktaking'), /shelf 3/);
});

test('the Service answers by address and by name from a pod of another node, spread over the ready pods', async () => {
  const [from] = (await readyWebPods(3)) as [Pod];
  const service = await cluster.json(...shop, 'get', 'service', 'web');
  const exec = (...command: string[]) => cluster.kubectl(...shop, 'exec', from.metadata.name, '--', ...command);
  const answers = new Set<string>();
  await eventually('answers of all three pods by address', 30_000, async () => {
    const loop = `for i in 1 2 3 4 5 6 7 8 9 10; do fetch ${service.spec.clusterIP}/cgi-bin/hostname; done`;
    for (const line of (await exec('sh', '-c', loop)).split('\n')) if (line !== '') answers.add(line.trim());
    assert.equal(answers.size, 3);
  });
  for (const name of ['web', 'web.shop', 'web.shop.svc.cluster.local']) {
    assert.match(await exec('fetch', `${name}/index.html`), /Welcome to the shop/);
  }
});

test('kubectl describes, follows logs, labels, edits, explains, execs', async () => {
  const [pod] = (await readyWebPods(3)) as [Pod];
  assert.match(await cluster.kubectl(...shop, 'describe', 'pod', pod.metadata.name), /Started container web|Started/);
  assert.match(await cluster.kubectl(...shop, 'describe', 'deployment', 'web'), /ScalingReplicaSet/);
  const follow = background('kubectl', [...shop, 'logs', '-f', pod.metadata.name], {
    KUBECONFIG: `${directory}/admin.kubeconfig`,
  });
  await eventually('following logs', 20_000, async () => assert.match(follow.output(), /serving on port 8080/));
  follow.stop();
  await cluster.kubectl(...shop, 'label', 'deployment', 'web', 'tier=front');
  assert.match(await cluster.kubectl(...shop, 'get', 'deployments', '-l', 'tier=front'), /web\s+3\/3/);
  const edit = await cluster.kubectlResult([...shop, 'edit', 'configmap', 'web-config'], {
    env: { KUBE_EDITOR: 'sed -i s/Welcome/Hello/' },
  });
  assert.equal(edit.code, 0, edit.stderr);
  assert.match(await cluster.kubectl(...shop, 'get', 'configmap', 'web-config', '-o', 'yaml'), /Hello to the shop/);
  assert.match(await cluster.kubectl('explain', 'deployment.spec.replicas'), /integer/);
  assert.match(await cluster.kubectl('api-resources'), /deployments\s+deploy\s+apps\/v1\s+true\s+Deployment/);
  assert.match(
    await cluster.kubectl(
      ...shop,
      'exec',
      pod.metadata.name,
      '--',
      'sh',
      '-c',
      'echo $SHOP_PASSWORD; cat /config/greeting',
    ),
    /not-a-real-password\n/,
  );
  const failing = await cluster.kubectlResult([...shop, 'exec', pod.metadata.name, '--', 'sh', '-c', 'exit 7']);
  assert.equal(failing.code, 7);
});

test('scale, rollout and rollout undo', async () => {
  await cluster.kubectl(...shop, 'scale', 'deployment/web', '--replicas=4');
  await cluster.kubectl(...shop, 'rollout', 'status', 'deployment/web', '--timeout=60s');
  await readyWebPods(4);
  await cluster.kubectl(...shop, 'scale', 'deployment/web', '--replicas=3');
  await cluster.kubectl(...shop, 'set', 'env', 'deployment/web', 'EDITION=second');
  await cluster.kubectl(...shop, 'rollout', 'status', 'deployment/web', '--timeout=90s');
  assert.match(JSON.stringify((await webPods())[0].spec.containers[0].env), /EDITION/);
  await cluster.kubectl(...shop, 'rollout', 'undo', 'deployment/web');
  await cluster.kubectl(...shop, 'rollout', 'status', 'deployment/web', '--timeout=90s');
  await eventually('three pods of the first edition', 60_000, async () => {
    const pods = await readyWebPods(3);
    for (const pod of pods) assert.doesNotMatch(JSON.stringify(pod.spec.containers[0].env), /EDITION/);
  });
});

test('a killed container is restarted and a deleted pod is replaced', async () => {
  const [first, second] = (await readyWebPods(3)) as [Pod, Pod];
  await cluster.kubectl(...shop, 'exec', first.metadata.name, '--', 'kill', '-9', '1').catch(() => undefined);
  const socket = `${directory}/nodes/${first.spec.nodeName}/containerd/containerd.sock`;
  await runProgram('ctr', [
    '-a',
    socket,
    '-n',
    'k8s.io',
    'tasks',
    'kill',
    '-s',
    'SIGKILL',
    first.status.containerStatuses[0].containerID.replace('containerd://', ''),
  ]);
  await eventually('the container runs again', 60_000, async () => {
    const pod = await cluster.json(...shop, 'get', 'pod', first.metadata.name);
    assert.ok(pod.status.containerStatuses[0].restartCount >= 1);
    assert.ok(isReady(pod));
  });
  await cluster.kubectl(...shop, 'delete', 'pod', second.metadata.name);
  await eventually('another pod takes its place', 60_000, async () => {
    const pods = await readyWebPods(3);
    assert.ok(!pods.some((pod) => pod.metadata.uid === second.metadata.uid));
  });
});

test('etcdctl works against the store and shows the cluster’s objects', async () => {
  const first = await cluster.etcdctl('put', '/demo/a', 'one');
  assert.match(first, /OK/);
  await cluster.etcdctl('put', '/demo/a', 'two');
  await cluster.etcdctl('put', '/demo/b', 'three');
  assert.equal(await cluster.etcdctl('get', '/demo/', '--prefix', '--limit=1', '--order=DESCEND'), '/demo/b\nthree\n');
  const { header } = JSON.parse(await cluster.etcdctl('get', '/demo/a', '-w', 'json'));
  const { kvs } = JSON.parse(await cluster.etcdctl('get', '/demo/a', '-w', 'json'));
  assert.equal(
    await cluster.etcdctl('get', '/demo/a', `--rev=${kvs[0].create_revision}`, '--print-value-only'),
    'one\n',
  );
  const watch = background(
    'etcdctl',
    ['watch', '/demo/a', `--rev=${kvs[0].create_revision}`, '--prev-kv'],
    await cluster.etcdEnv(),
  );
  await eventually('the watch replays history', 10_000, async () =>
    assert.match(watch.output(), /PUT\n\/demo\/a\none\nPUT\n\/demo\/a\none\n\/demo\/a\ntwo/),
  );
  watch.stop();
  const txn = await cluster.etcdctlResult(['txn'], {
    input: 'value("/demo/a") = "two"\n\nput /demo/c yes\n\nput /demo/c no\n\n',
  });
  assert.match(txn.stdout, /SUCCESS/);
  assert.equal(await cluster.etcdctl('del', '/demo/b'), '1\n');
  const lease = /lease (\w+) granted/.exec(await cluster.etcdctl('lease', 'grant', '60'))?.[1] as string;
  await cluster.etcdctl('put', '/demo/leased', 'x', `--lease=${lease}`);
  assert.match(
    await cluster.etcdctl('lease', 'timetolive', lease, '--keys'),
    /granted with TTL\(60s\), remaining\(\d+s\), attached keys\(\[\/demo\/leased\]\)/,
  );
  assert.match(await cluster.etcdctl('lease', 'keep-alive', '--once', lease), /keepalived with TTL\(60\)/);
  await cluster.etcdctl('lease', 'revoke', lease);
  assert.equal(await cluster.etcdctl('get', '/demo/leased'), '');
  const old = await cluster.etcdctlResult(['get', '/demo/a', '--rev=1000000000']);
  assert.match(old.stderr, /required revision is a future revision/);
  await cluster.etcdctl('compaction', String(header.revision - 1));
  assert.match(
    (await cluster.etcdctlResult(['get', '/demo/a', '--rev=1'])).stderr,
    /required revision has been compacted/,
  );
  assert.equal((await cluster.etcdctl('member', 'list')).trim().split('\n').length, 3);
  assert.match(await cluster.etcdctl('endpoint', 'status', '-w', 'table'), /RAFT TERM/);
  assert.equal((await cluster.etcdctlResult(['endpoint', 'health'])).code, 0);
  const keys = await cluster.etcdctl('get', '/registry', '--prefix', '--keys-only');
  assert.match(keys, /\/registry\/deployments\/shop\/web/);
  assert.match(keys, /\/registry\/pods\/shop\/web-/);
});

test('every component has /metrics, /livez and /readyz, and Prometheus scrapes them all', async () => {
  const config = await readFile(`${directory}/prometheus.yml`, 'utf8');
  const urls = [...config.matchAll(/"([\d.]+:\d+)"/g)].map((match) => match[1] as string);
  assert.equal(urls.length, 3 * 4 + 2);
  for (const address of urls) {
    const scheme = address.endsWith(':2381') ? 'http' : 'https';
    assert.match(await cluster.curl(`${scheme}://${address}/metrics`), /# TYPE/);
    for (const path of ['livez', 'readyz']) await cluster.curl(`${scheme}://${address}/${path}`);
  }
  const fast = join(directory, 'prometheus-test.yml');
  await writeFile(fast, config.replace('scrape_interval: 5s', 'scrape_interval: 1s'));
  const port = 20_000 + (process.pid % 20_000);
  const prometheus = background(
    'prometheus',
    [
      `--config.file=${fast}`,
      `--storage.tsdb.path=${directory}/prometheus-data`,
      `--web.listen-address=127.0.0.1:${port}`,
    ],
    {},
  );
  try {
    await eventually('every target is up', 40_000, async () => {
      const answer = JSON.parse(await cluster.curl(`http://127.0.0.1:${port}/api/v1/targets?state=active`));
      const targets: { health: string; scrapeUrl: string; lastError: string }[] = answer.data.activeTargets;
      assert.equal(targets.length, urls.length);
      const down = targets.filter((target) => target.health !== 'up');
      assert.deepEqual(
        down.map((target) => `${target.scrapeUrl} ${target.lastError}`),
        [],
      );
    });
  } finally {
    prometheus.stop();
  }
});

test('the leading master is killed: the store has a new leader, nothing acknowledged is lost, all carry on', async () => {
  const leader = await cluster.leader();
  const holders = async () => {
    const leases = (await cluster.json('-n', 'kube-system', 'get', 'leases')).items;
    return leases.map((lease: Pod) => [lease.metadata.name, lease.spec.holderIdentity] as const);
  };
  const acknowledged: string[] = [];
  let writing = true;
  after(() => {
    writing = false;
  });
  const writer = (async () => {
    for (let number = 0; writing; number++) {
      const key = `/kill/${String(number).padStart(5, '0')}`;
      const result = await cluster.etcdctlResult(['put', key, 'x', '--command-timeout=3s']);
      if (result.code === 0) acknowledged.push(key);
    }
  })();
  await eventually('some writes', 20_000, async () => assert.ok(acknowledged.length >= 5));
  await cluster.must('stop', leader.name, '--kill');
  const before = acknowledged.length;
  const others = (await cluster.etcdEnv())['ETCDCTL_ENDPOINTS']
    ?.split(',')
    .filter((endpoint) => !endpoint.includes(leader.address))
    .join(',') as string;
  const storeMs = await eventually('a new leader that takes writes', 3_000, async () => {
    const put = await cluster.etcdctlResult(['put', '/after-kill', 'x', '--command-timeout=1s'], {
      env: { ETCDCTL_ENDPOINTS: others },
    });
    assert.equal(put.code, 0, put.stderr);
  });
  console.log(`store: writes again ${Math.round(storeMs)} ms after the leader was killed`);
  const movedMs = await eventually('controllers and scheduler have moved', 15_000, async () => {
    for (const [name, holder] of await holders()) {
      if (/controller-manager|scheduler/.test(name))
        assert.ok(!String(holder).startsWith(`${leader.name}_`), `${name} is held by ${holder}`);
    }
    await cluster.kubectl(...shop, 'get', 'pods');
  });
  console.log(`control plane: moved ${Math.round(movedMs)} ms after that`);
  await eventually('more writes', 30_000, async () => assert.ok(acknowledged.length > before + 5));
  writing = false;
  await writer;
  const kept = new Set(
    (
      await cluster.etcdctlResult(['get', '/kill/', '--prefix', '--keys-only'], { env: { ETCDCTL_ENDPOINTS: others } })
    ).stdout.split('\n'),
  );
  assert.deepEqual(
    acknowledged.filter((key) => !kept.has(key)),
    [],
  );
  for (const node of (await cluster.json('get', 'nodes')).items)
    assert.ok(isReady(node), `${node.metadata.name} stayed Ready`);
  await cluster.kubectl(...shop, 'scale', 'deployment/web', '--replicas=4');
  await cluster.kubectl(...shop, 'rollout', 'status', 'deployment/web', '--timeout=60s');
  await cluster.kubectl(...shop, 'scale', 'deployment/web', '--replicas=3');
  await cluster.must('start', leader.name);
  await eventually('the killed master is back', 30_000, async () => {
    const { hosts, quorum } = await cluster.status();
    assert.equal(quorum.up, 3);
    const revisions = hosts.filter((host) => host.role === 'master').map((host) => host.store);
    assert.ok(!revisions.includes('no answer'));
    assert.equal((await cluster.etcdctlResult(['endpoint', 'health'])).code, 0);
  });
});

test('two masters down: writes are refused clearly, nothing hangs, and it heals when one returns', async () => {
  const leader = await cluster.leader();
  const masters = (await cluster.status()).hosts.filter((host) => host.role === 'master');
  const followers = masters.filter((host) => host.name !== leader.name).map((host) => host.name) as [string, string];
  await cluster.must('stop', leader.name, '--kill');
  await cluster.must('stop', followers[0], '--kill');
  const put = await cluster.etcdctlResult(['put', '/no-quorum', 'x', '--command-timeout=12s'], { timeoutMs: 30_000 });
  assert.notEqual(put.code, 0);
  assert.notEqual(put.code, -1, 'etcdctl was answered, not killed');
  const create = await cluster.kubectlResult(['create', 'configmap', 'no-quorum', '--request-timeout=40s'], {
    timeoutMs: 60_000,
  });
  assert.notEqual(create.code, 0);
  assert.notEqual(create.code, -1, 'kubectl was answered, not killed');
  assert.match(create.stderr, /Timeout|timed out|unavailable/i);
  const status = await cluster.keelson('status');
  assert.equal(status.code, 1);
  assert.match(status.stdout, /NO quorum: 1 of 3 voters answer, 2 are needed/);
  await cluster.must('start', followers[0]);
  await eventually('writes again', 30_000, async () => {
    await cluster.etcdctl('put', '/quorum-again', 'x', '--command-timeout=3s');
    await cluster.kubectl('create', 'configmap', 'quorum-again', '--dry-run=server');
  });
  await cluster.must('start', leader.name);
  await eventually('all three masters', 30_000, async () => assert.equal((await cluster.status()).quorum.up, 3));
  await eventually('the API sees all nodes Ready', 40_000, async () => {
    for (const node of (await cluster.json('get', 'nodes')).items) assert.ok(isReady(node));
  });
});

test('a node cut off from the masters turns NotReady, and its pods are replaced elsewhere', async () => {
  // The masters that were gone in the test before are back for a moment only.
  await eventually('three ready pods', 90_000, async () => {
    await readyWebPods(3);
  });
  const lan = (await runProgram('ip', ['netns'])).stdout.split('\n').map((line) => line.split(' ')[0] as string);
  const plan = JSON.parse(await readFile(`${directory}/cluster.json`, 'utf8'));
  const switchNamespace = lan.find((name) => name === `keelson-${plan.id}-lan`) as string;
  const link = (state: 'up' | 'down') => runProgram('ip', ['-n', switchNamespace, 'link', 'set', 'n2', state]);
  await link('down');
  try {
    await eventually('n2 is NotReady and tainted', 40_000, async () => {
      const node = await cluster.json('get', 'node', 'n2');
      assert.ok(!isReady(node));
      assert.ok(
        (node.spec.taints ?? []).some(
          (taint: { key: string; effect: string }) =>
            taint.key === 'node.kubernetes.io/unreachable' && taint.effect === 'NoExecute',
        ),
      );
    });
    await eventually('three ready pods on n1', 60_000, async () => {
      const pods = (await webPods()).filter((pod) => isReady(pod) && pod.spec.nodeName === 'n1');
      assert.equal(pods.length, 3);
    });
  } finally {
    await link('up');
  }
  await eventually('n2 is Ready again and its old pods are gone', 60_000, async () => {
    assert.ok(isReady(await cluster.json('get', 'node', 'n2')));
    await readyWebPods(3);
    const all = (await cluster.json(...shop, 'get', 'pods', '-l', 'app=web')).items;
    assert.equal(all.length, 3);
  });
});

test('a manifest with a wrong field and a contradictory start are refused in one line', async () => {
  const manifest =
    'apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: bad, namespace: shop}\nspec: {replicas: many, selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: c}}, spec: {containers: []}}}\n';
  const applied = await cluster.kubectlResult(['apply', '--validate=false', '-f', '-'], { input: manifest });
  assert.equal(applied.code, 1);
  assert.match(applied.stderr, /replicas/);
  const shape = await cluster.keelson('up', '--masters=5');
  assert.equal(shape.code, 1);
  assert.match(shape.stderr, /holds a cluster with masters 3, not 5/);
  const even = await cluster.keelson('up', '--masters=4');
  assert.equal(even.code, 2);
  assert.match(even.stderr, /an even number does not help/);
});

test('no process ended by itself', async () => {
  const { hosts } = await cluster.status();
  const ended: string[] = [];
  for (const { name, role } of hosts) {
    const logs = join(directory, `${role}s`, name, 'logs');
    for (const file of await readdir(logs)) {
      const text = await readFile(join(logs, file), 'utf8');
      // What Node says last when an error that nobody caught ends it.
      const end = text.search(/^Node\.js v\d/m);
      if (end >= 0) ended.push(`${name}/${file}:\n${text.slice(Math.max(0, end - 2000), end)}`);
    }
  }
  assert.deepEqual(ended, []);
});

test('down leaves nothing behind, and the next start finds the data', async () => {
  const { id } = JSON.parse(await readFile(`${directory}/cluster.json`, 'utf8'));
  await cluster.must('down');
  assert.doesNotMatch((await runProgram('ip', ['netns'])).stdout, new RegExp(`keelson-${id}`));
  assert.doesNotMatch((await runProgram('ip', ['-br', 'link'])).stdout, new RegExp(id));
  assert.doesNotMatch(await readFile('/proc/self/mountinfo', 'utf8'), new RegExp(directory));
  assert.deepEqual(
    (await commandLines()).filter((line) => line.includes(`${directory}/`)),
    [],
  );
  await cluster.up();
  assert.match(await cluster.kubectl(...shop, 'get', 'deployment', 'web'), /web/);
  await eventually('the shop is served again', 90_000, async () => {
    await readyWebPods(3);
  });
});
