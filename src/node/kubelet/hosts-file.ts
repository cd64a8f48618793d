/** The /etc/hosts of a pod: pure. */
import type { KubeObject } from '../../control/api/contract.ts';
import { podHostname } from './container-config.ts';

export function hostsFile(pod: KubeObject, podIps: readonly string[], clusterDomain: string): string {
  const lines = [
    '# Kubernetes-managed hosts file.',
    '127.0.0.1\tlocalhost',
    '::1\tlocalhost ip6-localhost ip6-loopback',
    'fe00::0\tip6-localnet',
    'fe00::0\tip6-mcastprefix',
    'fe00::1\tip6-allnodes',
    'fe00::2\tip6-allrouters',
  ];
  const hostname = podHostname(pod);
  const subdomain = pod.spec?.subdomain as string | undefined;
  const full = subdomain ? `${hostname}.${subdomain}.${pod.metadata.namespace}.svc.${clusterDomain}\t` : '';
  for (const ip of podIps) lines.push(`${ip}\t${full}${hostname}`);
  const aliases = (pod.spec?.hostAliases ?? []) as { ip: string; hostnames: string[] }[];
  if (aliases.length > 0) lines.push('', '# Entries added by HostAliases.');
  for (const alias of aliases) lines.push(`${alias.ip}\t${alias.hostnames.join('\t')}`);
  return `${lines.join('\n')}\n`;
}
