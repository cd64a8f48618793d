/** What a user is told and given once a cluster is up: pure text. */
import { apiServers, type ClusterPlan, mastersOf, metricsTargets, storeEndpoints } from './plan.ts';

/** `ETCDCTL_*` variables, to be read with `. FILE`. */
export function etcdEnvironment(plan: ClusterPlan): string {
  const pki = `${plan.directory}/pki`;
  return `export ETCDCTL_API=3
export ETCDCTL_ENDPOINTS=${storeEndpoints(plan).join(',')}
export ETCDCTL_CACERT=${pki}/store-ca.crt
export ETCDCTL_CERT=${pki}/store-client.crt
export ETCDCTL_KEY=${pki}/store-client.key
`;
}

export function summary(plan: ClusterPlan, paths: { readonly directory: string; readonly program: string }): string {
  const { directory, program } = paths;
  const pki = `${directory}/pki`;
  const masters = mastersOf(plan);
  const targets = metricsTargets(plan);
  const firstOf = (component: string) => targets.find((target) => target.component === component)?.url ?? '';
  const kill =
    masters.length > 1
      ? `  ${program} stop ${masters[0]?.name} --kill && ${program} status     # lose a master; ${program} start ${masters[0]?.name} brings it back\n`
      : '';
  return `
The cluster is up: ${masters.length} master(s), ${plan.hosts.length - masters.length} node(s).

  kubeconfig   ${directory}/admin.kubeconfig
  API          https://127.0.0.1:${plan.apiPort}  (fails over between ${apiServers(plan).join(' ')})
  store        ${storeEndpoints(plan).join(' ')}
  etcdctl      . ${directory}/etcd.env   or
               ETCDCTL_API=3 etcdctl --endpoints=${storeEndpoints(plan).join(',')} --cacert=${pki}/store-ca.crt --cert=${pki}/store-client.crt --key=${pki}/store-client.key endpoint status
  metrics      ${firstOf('store')}  (store)
               ${firstOf('apiserver')}  ${firstOf('controller-manager')}  ${firstOf('scheduler')}  ${firstOf('node')}
               (all but the store's with --cacert ${pki}/ca.crt --cert ${pki}/admin.crt --key ${pki}/admin.key)
  Prometheus   ${directory}/prometheus.yml

Try:
  export KUBECONFIG=${directory}/admin.kubeconfig
  kubectl get nodes -o wide
  kubectl apply -f examples/shop.yaml && kubectl -n shop rollout status deployment/web
  . ${directory}/etcd.env && etcdctl get /registry --prefix --keys-only
${kill}`;
}

/** A configuration for Prometheus that scrapes every component of this very cluster. */
export function prometheusConfig(plan: ClusterPlan, template: string): string {
  const jobs = ['store', 'apiserver', 'controller-manager', 'scheduler', 'node'] as const;
  let text = template.replaceAll('__PKI__', `${plan.directory}/pki`);
  for (const job of jobs) {
    const addresses = metricsTargets(plan)
      .filter((target) => target.component === job)
      .map((target) => JSON.stringify(new URL(target.url).host));
    text = text.replace(`__${job.toUpperCase().replace('-', '_')}_TARGETS__`, addresses.join(', '));
  }
  return text;
}
