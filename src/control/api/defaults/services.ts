/** Upstream's defaults of Services and what belongs to them. Objects are changed in place. */
import type { JsonObject } from '../contract.ts';
import { setDefault } from './set-default.ts';

/** Three hours, upstream's. */
const clientIpTimeoutSeconds = 10_800;

export function defaultService(object: JsonObject): void {
  const spec: JsonObject = (object['spec'] ??= {});
  setDefault(spec, 'sessionAffinity', 'None');
  if (spec['sessionAffinity'] === 'None') delete spec['sessionAffinityConfig'];
  if (spec['sessionAffinity'] === 'ClientIP') {
    const config: JsonObject = (spec['sessionAffinityConfig'] ??= {});
    setDefault((config['clientIP'] ??= {}), 'timeoutSeconds', clientIpTimeoutSeconds);
  }
  setDefault(spec, 'type', 'ClusterIP');
  for (const port of spec['ports'] ?? []) {
    setDefault(port, 'protocol', 'TCP');
    if (!port.targetPort) port.targetPort = port.port ?? 0;
  }
  const { type } = spec;
  const isExposed = type === 'NodePort' || type === 'LoadBalancer';
  const hasExternalIps = type === 'ClusterIP' && (spec['externalIPs'] ?? []).length > 0;
  if (isExposed || hasExternalIps) setDefault(spec, 'externalTrafficPolicy', 'Cluster');
  if (isExposed || type === 'ClusterIP') setDefault(spec, 'internalTrafficPolicy', 'Cluster');
  if (type === 'LoadBalancer') setDefault(spec, 'allocateLoadBalancerNodePorts', true);
}

export function defaultEndpoints(object: JsonObject): void {
  for (const subset of object['subsets'] ?? [])
    for (const port of subset.ports ?? []) setDefault(port, 'protocol', 'TCP');
}

export function defaultEndpointSlice(object: JsonObject): void {
  for (const port of object['ports'] ?? []) {
    setDefault(port, 'name', '', { isPointer: true });
    setDefault(port, 'protocol', 'TCP');
  }
}

export function defaultNetworkPolicy(object: JsonObject): void {
  const spec: JsonObject = (object['spec'] ??= {});
  for (const rule of [...(spec['ingress'] ?? []), ...(spec['egress'] ?? [])]) {
    for (const port of rule.ports ?? []) setDefault(port, 'protocol', 'TCP');
  }
  if ((spec['policyTypes'] ?? []).length === 0) {
    spec['policyTypes'] = (spec['egress'] ?? []).length > 0 ? ['Ingress', 'Egress'] : ['Ingress'];
  }
}
