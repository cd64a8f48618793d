/** Upstream's defaults of pods and pod templates. Objects are changed in place. */
import type { JsonObject } from '../contract.ts';
import { setDefault } from './set-default.ts';

/** 0644: the mode of files that volumes project. */
const projectedMode = 0o644;

/** Defaults of a PodSpec, wherever it stands. */
export function defaultPodSpec(spec: JsonObject): void {
  setDefault(spec, 'dnsPolicy', 'ClusterFirst');
  setDefault(spec, 'restartPolicy', 'Always');
  setDefault(spec, 'securityContext', {});
  setDefault(spec, 'terminationGracePeriodSeconds', 30);
  setDefault(spec, 'schedulerName', 'default-scheduler');
  // The deprecated name mirrors the current one, whichever of them the client set.
  if (spec['serviceAccountName']) spec['serviceAccount'] = spec['serviceAccountName'];
  else if (spec['serviceAccount']) spec['serviceAccountName'] = spec['serviceAccount'];
  for (const volume of spec['volumes'] ?? []) defaultVolume(volume);
  for (const list of ['initContainers', 'containers', 'ephemeralContainers']) {
    for (const container of spec[list] ?? []) defaultContainer(container);
  }
}

/** What upstream defaults in pods but not in templates. */
export function defaultPod(pod: JsonObject): void {
  const spec: JsonObject = pod['spec'] ?? {};
  defaultPodSpec(spec);
  setDefault(spec, 'enableServiceLinks', true);
  for (const list of ['initContainers', 'containers']) {
    for (const container of spec[list] ?? []) {
      requestWhatIsLimited(container);
      if (spec['hostNetwork'] === true) {
        for (const port of container.ports ?? []) if (!port.hostPort) port.hostPort = port.containerPort;
      }
    }
  }
}

function requestWhatIsLimited(container: JsonObject): void {
  const limits = container['resources']?.limits;
  if (limits === undefined || limits === null) return;
  const requests = (container['resources'].requests ??= {});
  for (const [name, value] of Object.entries(limits)) requests[name] ??= value;
}

function defaultContainer(container: JsonObject): void {
  setDefault(container, 'terminationMessagePath', '/dev/termination-log');
  setDefault(container, 'terminationMessagePolicy', 'File');
  setDefault(container, 'imagePullPolicy', hasMovingTag(String(container['image'] ?? '')) ? 'Always' : 'IfNotPresent');
  for (const port of container['ports'] ?? []) setDefault(port, 'protocol', 'TCP');
  for (const variable of container['env'] ?? []) {
    const fieldRef = variable.valueFrom?.fieldRef;
    if (fieldRef) setDefault(fieldRef, 'apiVersion', 'v1');
  }
  for (const name of ['livenessProbe', 'readinessProbe', 'startupProbe']) {
    if (container[name]) defaultProbe(container[name]);
  }
  const lifecycle = container['lifecycle'];
  for (const hook of [lifecycle?.postStart, lifecycle?.preStop]) if (hook?.httpGet) defaultHttpGet(hook.httpGet);
}

/** `latest`, or no tag at all: what the name stands for may have changed since it was pulled. */
function hasMovingTag(image: string): boolean {
  if (image.includes('@')) return false;
  const name = image.slice(image.lastIndexOf('/') + 1);
  const colon = name.indexOf(':');
  return colon < 0 || name.slice(colon + 1) === 'latest';
}

function defaultProbe(probe: JsonObject): void {
  setDefault(probe, 'timeoutSeconds', 1);
  setDefault(probe, 'periodSeconds', 10);
  setDefault(probe, 'successThreshold', 1);
  setDefault(probe, 'failureThreshold', 3);
  if (probe['httpGet']) defaultHttpGet(probe['httpGet']);
  if (probe['grpc']) setDefault(probe['grpc'], 'service', '', { isPointer: true });
}

function defaultHttpGet(action: JsonObject): void {
  setDefault(action, 'path', '/');
  setDefault(action, 'scheme', 'HTTP');
}

function defaultVolume(volume: JsonObject): void {
  const sources = Object.keys(volume).filter((name) => name !== 'name' && volume[name] !== null);
  if (sources.length === 0) volume['emptyDir'] = {};
  for (const name of ['secret', 'configMap', 'downwardAPI', 'projected']) {
    if (volume[name]) setDefault(volume[name], 'defaultMode', projectedMode);
  }
  if (volume['hostPath']) setDefault(volume['hostPath'], 'type', '', { isPointer: true });
  defaultDownwardItems(volume['downwardAPI']);
  for (const source of volume['projected']?.sources ?? []) {
    defaultDownwardItems(source.downwardAPI);
    if (source.serviceAccountToken) setDefault(source.serviceAccountToken, 'expirationSeconds', 3600);
  }
  if (volume['iscsi']) setDefault(volume['iscsi'], 'iscsiInterface', 'default');
  if (volume['ephemeral']?.volumeClaimTemplate?.spec) {
    setDefault(volume['ephemeral'].volumeClaimTemplate.spec, 'volumeMode', 'Filesystem');
  }
}

function defaultDownwardItems(source: JsonObject | null | undefined): void {
  for (const item of source?.['items'] ?? []) if (item.fieldRef) setDefault(item.fieldRef, 'apiVersion', 'v1');
}
