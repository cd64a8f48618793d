/** Validation of Services and endpoint slices. */
import type { FieldError, JsonObject, KubeObject } from '../contract.ts';
import { ipVersion } from './addresses.ts';
import { duplicate, immutableDetail, invalidValue, notSupported, required, tooMany } from './field-error.ts';
import {
  labelProblems,
  labelValueProblems,
  portNameProblems,
  portNumberProblems,
  qualifiedNameProblems,
  subdomainProblems,
} from './names.ts';

export function serviceErrors(service: KubeObject, old: KubeObject | undefined): FieldError[] {
  const spec: JsonObject = service['spec'] ?? {};
  const errors: FieldError[] = [];
  const isHeadless = spec['clusterIP'] === 'None';
  if ((spec['ports'] ?? []).length === 0 && spec['type'] !== 'ExternalName' && !isHeadless) {
    errors.push(required('spec.ports'));
  }
  portErrors(spec, errors);
  if (spec['type'] === 'ExternalName') {
    const name = spec['externalName'];
    if (!name) errors.push(required('spec.externalName'));
    else
      errors.push(
        ...subdomainProblems(String(name).replace(/\.$/, '')).map((problem) =>
          invalidValue('spec.externalName', name, problem),
        ),
      );
    if (spec['clusterIP'])
      errors.push(invalidValue('spec.clusterIPs', [spec['clusterIP']], 'may not be set for ExternalName services'));
  }
  if (isHeadless && spec['type'] !== 'ClusterIP') {
    errors.push(invalidValue('spec.clusterIPs[0]', 'None', `may not be set to 'None' for ${spec['type']} services`));
  }
  for (const [index, address] of (spec['clusterIPs'] ?? []).entries()) {
    if (address === 'None' || ipVersion(address) !== 0) continue;
    errors.push(
      invalidValue(
        `spec.clusterIPs[${index}]`,
        address,
        'must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)',
      ),
    );
  }
  for (const [key, value] of Object.entries(spec['selector'] ?? {})) {
    errors.push(...qualifiedNameProblems(key).map((problem) => invalidValue('spec.selector', key, problem)));
    errors.push(...labelValueProblems(String(value)).map((problem) => invalidValue('spec.selector', value, problem)));
  }
  return old === undefined ? errors : [...errors, ...addressChangeErrors(spec, old['spec'] ?? {})];
}

function addressChangeErrors(spec: JsonObject, old: JsonObject): FieldError[] {
  if (spec['type'] === 'ExternalName' || old['type'] === 'ExternalName' || !old['clusterIP']) return [];
  if (spec['clusterIP'] === old['clusterIP']) return [];
  if (!spec['clusterIP']) return [invalidValue('spec.clusterIPs[0]', '', 'primary clusterIP can not be unset')];
  return [invalidValue('spec.clusterIPs[0]', [spec['clusterIP']], 'may not change once set')];
}

function portErrors(spec: JsonObject, errors: FieldError[]): void {
  const ports: JsonObject[] = spec['ports'] ?? [];
  const names = new Set<string>();
  const places = new Set<string>();
  const nodePorts = new Set<string>();
  for (const [index, port] of ports.entries()) {
    const path = `spec.ports[${index}]`;
    const name = port['name'] ?? '';
    if (name === '' && ports.length > 1) errors.push(required(`${path}.name`));
    if (name !== '') {
      errors.push(...labelProblems(name).map((problem) => invalidValue(`${path}.name`, name, problem)));
      if (names.has(name)) errors.push(duplicate(`${path}.name`, name));
      names.add(name);
    }
    const problems = portNumberProblems(port['port']);
    errors.push(...problems.map((problem) => invalidValue(`${path}.port`, port['port'], problem)));
    const target = port['targetPort'];
    if (typeof target === 'number') {
      errors.push(...portNumberProblems(target).map((problem) => invalidValue(`${path}.targetPort`, target, problem)));
    } else if (typeof target === 'string') {
      errors.push(...portNameProblems(target).map((problem) => invalidValue(`${path}.targetPort`, target, problem)));
    }
    const place = `${port['protocol']}/${port['port']}`;
    if (places.has(place)) errors.push(duplicate(path, { protocol: port['protocol'], port: port['port'] }));
    places.add(place);
    if (!port['nodePort']) continue;
    const nodePort = `${port['protocol']}/${port['nodePort']}`;
    if (nodePorts.has(nodePort)) errors.push(duplicate(`${path}.nodePort`, port['nodePort']));
    nodePorts.add(nodePort);
  }
}

/** Upstream's limits on a slice. */
const endpointsMax = 1000;
const addressesMax = 100;

export function endpointSliceErrors(slice: KubeObject, old: KubeObject | undefined): FieldError[] {
  const errors: FieldError[] = [];
  const endpoints: JsonObject[] = slice['endpoints'] ?? [];
  const type = slice['addressType'];
  if (type && !['IPv4', 'IPv6', 'FQDN'].includes(type))
    errors.push(notSupported('addressType', type, ['FQDN', 'IPv4', 'IPv6']));
  if (endpoints.length > endpointsMax) errors.push(tooMany('endpoints', endpoints.length, endpointsMax));
  for (const [index, endpoint] of endpoints.entries()) {
    const path = `endpoints[${index}].addresses`;
    const addresses: string[] = endpoint['addresses'] ?? [];
    if (addresses.length === 0) errors.push(required(path, 'must contain at least 1 address'));
    if (addresses.length > addressesMax) errors.push(tooMany(path, addresses.length, addressesMax));
    for (const [at, address] of addresses.entries()) {
      const wanted = type === 'IPv4' ? 4 : type === 'IPv6' ? 6 : undefined;
      if (wanted === undefined || ipVersion(address) === wanted) continue;
      errors.push(invalidValue(`${path}[${at}]`, address, `must be an ${type} address`));
    }
  }
  const names = new Set<string>();
  for (const [index, port] of (slice['ports'] ?? []).entries()) {
    const name = port.name ?? '';
    if (name !== '')
      errors.push(...labelProblems(name).map((problem) => invalidValue(`ports[${index}].name`, name, problem)));
    if (names.has(name)) errors.push(duplicate('ports', name));
    names.add(name);
  }
  if (old !== undefined && old['addressType'] !== type) errors.push(invalidValue('addressType', type, immutableDetail));
  return errors;
}
