/** Services: cluster addresses and node ports are taken before the object is written and given back after. */
import type { Owner } from './allocators.ts';
import { nodePortsOf } from './allocators.ts';
import type { RequestContext } from './core.ts';
import { fail } from './errors.ts';
import type { FieldError, JsonObject, KubeObject } from './kinds.ts';
import type { Reservation, Strategy } from './strategy.ts';

const typesWithNodePorts = new Set(['NodePort', 'LoadBalancer']);

function ownerOf(object: KubeObject): Owner {
  return { namespace: object.metadata.namespace ?? '', name: object.metadata.name };
}

function wantsAddress(spec: JsonObject): boolean {
  return spec['type'] !== 'ExternalName' && spec['clusterIP'] !== 'None';
}

function addressOf(object: KubeObject | undefined): string {
  const address = object?.['spec']?.clusterIP ?? '';
  return address === 'None' ? '' : address;
}

function wantsNodePorts(spec: JsonObject): boolean {
  return (
    typesWithNodePorts.has(spec['type']) &&
    !(spec['type'] === 'LoadBalancer' && spec['allocateLoadBalancerNodePorts'] === false)
  );
}

/** Single-stack defaults that depend on the type. */
function fillFamilies(spec: JsonObject): void {
  if (spec['type'] === 'ExternalName') return;
  spec['ipFamilies'] ??= ['IPv4'];
  spec['ipFamilyPolicy'] ??= 'SingleStack';
  if (spec['clusterIP']) spec['clusterIPs'] = [spec['clusterIP']];
  else if (spec['clusterIPs']?.length > 0) spec['clusterIP'] = spec['clusterIPs'][0];
}

function invalid(object: KubeObject, error: FieldError) {
  return fail.invalid({ group: '', kind: 'Service' }, object.metadata.name, [error]);
}

async function takeAddress(object: KubeObject, context: RequestContext): Promise<string> {
  const { serviceIps } = context.core;
  const { spec } = object as { spec: JsonObject } & KubeObject;
  const asked: string = spec['clusterIP'] ?? '';
  if (asked !== '') {
    const outcome = await serviceIps.allocate(asked, ownerOf(object));
    if (outcome === 'allocated') return asked;
    const why =
      outcome === 'taken'
        ? `failed to allocate IP ${asked}: provided IP is already allocated`
        : `failed to allocate IP ${asked}: the provided IP (${asked}) is not in the valid range. The range of valid IPs is ${serviceIps.range.text}`;
    throw invalid(object, {
      reason: 'FieldValueInvalid',
      field: 'spec.clusterIPs',
      message: `Invalid value: []string{${JSON.stringify(asked)}}: ${why}`,
    });
  }
  const address = await serviceIps.allocateNext(ownerOf(object));
  if (address === undefined) throw fail.internal('failed to allocate a serviceIP: range is full');
  spec['clusterIP'] = address;
  spec['clusterIPs'] = [address];
  return address;
}

/** Takes the ports that `object` wants and `held` does not have. Writes the chosen ones into the object. */
async function takePorts(
  object: KubeObject,
  held: Set<number>,
  context: RequestContext,
  taken: number[],
): Promise<void> {
  const { nodePorts } = context.core;
  const spec: JsonObject = object['spec'];
  const owner = ownerOf(object);
  const take = async (holder: JsonObject, field: string, path: string) => {
    const asked: number = holder[field] ?? 0;
    if (asked > 0) {
      if (held.has(asked)) return;
      const outcome = await nodePorts.allocate(asked, owner);
      if (outcome !== 'allocated') {
        const why =
          outcome === 'taken'
            ? 'provided port is already allocated'
            : `provided port is not in the valid range. The range of valid ports is ${nodePorts.first}-${nodePorts.last}`;
        throw invalid(object, {
          reason: 'FieldValueInvalid',
          field: path,
          message: `Invalid value: ${asked}: ${why}`,
        });
      }
      taken.push(asked);
      held.add(asked);
      return;
    }
    const port = await nodePorts.allocateNext(owner);
    if (port === undefined) throw fail.internal('failed to allocate a nodePort: range is full');
    holder[field] = port;
    taken.push(port);
    held.add(port);
  };
  const ports: JsonObject[] = spec['ports'] ?? [];
  for (const [index, port] of ports.entries()) await take(port, 'nodePort', `spec.ports[${index}].nodePort`);
  if (spec['type'] === 'LoadBalancer' && spec['externalTrafficPolicy'] === 'Local') {
    await take(spec, 'healthCheckNodePort', 'spec.healthCheckNodePort');
  }
}

/** Values that an update leaves out stay what they are. */
function keepAllocated(spec: JsonObject, old: JsonObject): void {
  if (wantsAddress(spec) && wantsAddress(old) && !spec['clusterIP'] && !(spec['clusterIPs']?.length > 0)) {
    spec['clusterIP'] = old['clusterIP'];
    spec['clusterIPs'] = old['clusterIPs'];
  }
  if (spec['type'] === 'ExternalName') {
    for (const field of ['clusterIP', 'clusterIPs', 'ipFamilies', 'ipFamilyPolicy']) delete spec[field];
  }
  if (wantsNodePorts(spec) && wantsNodePorts(old)) {
    const used = new Set(nodePortsOf({ spec } as unknown as KubeObject));
    for (const port of spec['ports'] ?? []) {
      if (port.nodePort) continue;
      const same = (old['ports'] ?? []).find(
        (before: JsonObject) =>
          before['port'] === port.port && (before['protocol'] ?? 'TCP') === (port.protocol ?? 'TCP'),
      );
      if (same?.nodePort && !used.has(same.nodePort)) port.nodePort = same.nodePort;
    }
    if (spec['externalTrafficPolicy'] === 'Local' && old['healthCheckNodePort']) {
      spec['healthCheckNodePort'] ??= old['healthCheckNodePort'];
    }
  }
  if (!typesWithNodePorts.has(spec['type']) && typesWithNodePorts.has(old['type'])) {
    for (const port of spec['ports'] ?? []) delete port.nodePort;
    delete spec['healthCheckNodePort'];
    delete spec['externalTrafficPolicy'];
  }
}

export const serviceStrategy: Strategy = {
  prepareForCreate(object) {
    object['status'] = { loadBalancer: {} };
    fillFamilies(object['spec'] ?? {});
  },

  prepareForUpdate(object, old, { subresource }) {
    if (subresource === 'status') return;
    keepAllocated(object['spec'] ?? {}, old['spec'] ?? {});
    fillFamilies(object['spec'] ?? {});
  },

  async reserve(object, old, context): Promise<Reservation | undefined> {
    const spec: JsonObject = object['spec'] ?? {};
    const { serviceIps, nodePorts } = context.core;
    const owner = ownerOf(object);
    const ports: number[] = [];
    let address = '';
    const release = async () => {
      if (address !== '') await serviceIps.release(address, owner);
      for (const port of ports) await nodePorts.release(port, owner);
    };
    try {
      if (wantsAddress(spec) && (addressOf(object) === '' || addressOf(object) !== addressOf(old))) {
        address = await takeAddress(object, context);
      }
      if (wantsNodePorts(spec)) await takePorts(object, new Set(nodePortsOf(old)), context, ports);
    } catch (error) {
      await release();
      throw error;
    }
    return address === '' && ports.length === 0 ? undefined : { release };
  },

  async afterUpdate(object, old, context) {
    const owner = ownerOf(old);
    if (addressOf(old) !== '' && addressOf(old) !== addressOf(object)) {
      await context.core.serviceIps.release(addressOf(old), owner);
    }
    const kept = new Set(nodePortsOf(object));
    for (const port of nodePortsOf(old)) if (!kept.has(port)) await context.core.nodePorts.release(port, owner);
  },

  async afterDelete(object, context) {
    const owner = ownerOf(object);
    if (addressOf(object) !== '') await context.core.serviceIps.release(addressOf(object), owner);
    for (const port of nodePortsOf(object)) await context.core.nodePorts.release(port, owner);
  },
};
