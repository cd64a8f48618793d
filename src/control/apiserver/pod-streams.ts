/** Pod log, exec, attach and port-forward: finds the pod's node and says what to ask its agent for. */
import type { RequestContext } from './core.ts';
import { fail } from './errors.ts';
import type { ApiResponse, Headers } from './http.ts';
import type { NodeAddress } from './kubelet-client.ts';
import { type JsonObject, type KubeObject, type ResourceSchema, resourceSchema } from './kinds.ts';
import { refOf } from './registry.ts';

const kubeletPortDefault = 10250;
/** Addresses of a node in the order in which they are tried, as --kubelet-preferred-address-types by default. */
const addressTypes = ['InternalIP', 'Hostname', 'ExternalIP', 'InternalDNS', 'ExternalDNS'];

/** Headers that belong to the upgrade itself and go on to the node. */
const upgradeHeaders = ['connection', 'upgrade', 'x-stream-protocol-version'];

export function isUpgrade(headers: Readonly<Record<string, string | undefined>>): boolean {
  return /\bupgrade\b/i.test(headers['connection'] ?? '') && headers['upgrade'] !== undefined;
}

async function loadPod(context: RequestContext, resource: ResourceSchema): Promise<KubeObject> {
  const { info, core } = context;
  const stored = await core.storage.get(refOf(resource, info.namespace, info.name));
  if (stored === undefined) throw fail.notFound(resource, info.name);
  return stored.object;
}

/** Throws a 400 Status while the pod has no node. */
async function nodeOf(context: RequestContext, pod: KubeObject): Promise<NodeAddress> {
  const nodeName: string = pod['spec']?.nodeName ?? '';
  if (nodeName === '') throw fail.badRequest(`pod ${pod.metadata.name} does not have a host assigned`);
  const nodes = resourceSchema('v1', 'nodes');
  const node = (await context.core.storage.get(refOf(nodes, '', nodeName)))?.object;
  if (node === undefined) throw fail.notFound(nodes, nodeName);
  return addressOfNode(node);
}

export function addressOfNode(node: KubeObject): NodeAddress {
  const addresses: JsonObject[] = node['status']?.addresses ?? [];
  const found = addressTypes
    .map((type) => addresses.find((item) => item['type'] === type)?.['address'] as string | undefined)
    .find((address) => address !== undefined && address !== '');
  if (found === undefined) throw fail.internal(`no preferred addresses found for node ${node.metadata.name}`);
  const port: number = node['status']?.daemonEndpoints?.kubeletEndpoint?.Port ?? kubeletPortDefault;
  return { host: found, port, nodeName: node.metadata.name };
}

/** The container asked for, or the only one (or the annotated one). Throws 400. */
function containerOf(context: RequestContext, pod: KubeObject): string {
  const spec: JsonObject = pod['spec'] ?? {};
  const names = (list: JsonObject[] | undefined) => (list ?? []).map((item) => item['name'] as string);
  const containers = names(spec['containers']);
  const all = [...containers, ...names(spec['initContainers']), ...names(spec['ephemeralContainers'])];
  const asked = context.request.query.get('container') ?? '';
  if (asked !== '') {
    if (!all.includes(asked)) throw fail.badRequest(`container ${asked} is not valid for pod ${pod.metadata.name}`);
    return asked;
  }
  const annotated = pod.metadata.annotations?.['kubectl.kubernetes.io/default-container'];
  if (annotated !== undefined && containers.includes(annotated)) return annotated;
  if (containers.length === 1) return containers[0] as string;
  throw fail.badRequest(
    `a container name must be specified for pod ${pod.metadata.name}, choose one of: [${containers.join(' ')}]`,
  );
}

const logParameters = [
  'follow',
  'previous',
  'sinceSeconds',
  'sinceTime',
  'timestamps',
  'tailLines',
  'limitBytes',
  'stream',
];

async function handleLog(context: RequestContext, resource: ResourceSchema): Promise<ApiResponse> {
  const pod = await loadPod(context, resource);
  const container = containerOf(context, pod);
  const node = await nodeOf(context, pod);
  const query = new URLSearchParams();
  for (const name of logParameters) {
    const value = context.request.query.get(name);
    if (value !== null) query.set(name, value);
  }
  const text = query.size === 0 ? '' : `?${query}`;
  const path = `/containerLogs/${pod.metadata.namespace}/${pod.metadata.name}/${container}${text}`;
  return context.core.kubelet.get(node, path, context.request.signal);
}

async function handleStream(context: RequestContext, resource: ResourceSchema): Promise<ApiResponse> {
  const { request, info } = context;
  if (!isUpgrade(request.headers)) throw fail.badRequest('Upgrade request required');
  const pod = await loadPod(context, resource);
  const query = new URLSearchParams();
  let container = '';
  if (info.subresource === 'portforward') {
    for (const port of request.query.getAll('ports')) query.append('port', port);
  } else {
    container = `/${containerOf(context, pod)}`;
    // The agent's names for the same switches.
    for (const [ours, theirs] of [
      ['stdin', 'input'],
      ['stdout', 'output'],
      ['stderr', 'error'],
      ['tty', 'tty'],
    ] as const) {
      const value = request.query.get(ours);
      if (value === 'true' || value === '1') query.set(theirs, '1');
    }
    for (const word of request.query.getAll('command')) query.append('command', word);
  }
  const node = await nodeOf(context, pod);
  const place = info.subresource === 'portforward' ? 'portForward' : info.subresource;
  const text = query.size === 0 ? '' : `?${query}`;
  const headers: Headers = {};
  for (const [name, value] of Object.entries(request.headers)) {
    if (value !== undefined && (upgradeHeaders.includes(name) || name.startsWith('sec-websocket-')))
      headers[name] = value;
  }
  return {
    kind: 'upgrade',
    tunnel: {
      host: node.host,
      port: node.port,
      path: `/${place}/${pod.metadata.namespace}/${pod.metadata.name}${container}${text}`,
      method: request.method,
      headers,
    },
  };
}

/** Undefined when the subresource is none of a running pod. */
export function podStreamHandler(
  subresource: string,
): ((context: RequestContext, resource: ResourceSchema) => Promise<ApiResponse>) | undefined {
  switch (subresource) {
    case 'log':
      return handleLog;
    case 'exec':
    case 'attach':
    case 'portforward':
      return handleStream;
    default:
      return undefined;
  }
}
