/** The flags that the controller manager and the scheduler share, and what they make of them alike. */
import { hostname } from 'node:os';
import type { ComponentOptions } from '../control/client/index.ts';
import type { FlagTable, FlagValues } from './flags.ts';

export const servingFlags = {
  'hostname-override': { type: 'string', help: 'name of this machine in the lease it leads by' },
  kubeconfig: { type: 'string', required: true, help: 'kubeconfig with the address and credentials of the API server' },
  servers: { type: 'list', help: 'API servers, in order of preference (default: the one of the kubeconfig)' },
  'bind-address': { type: 'string', default: '0.0.0.0', help: 'address of the health and metrics port' },
  'tls-cert-file': { type: 'string', required: true, help: 'certificate of the health and metrics port' },
  'tls-private-key-file': { type: 'string', required: true, help: 'its private key' },
  'client-ca-file': { type: 'string', help: 'authority of the clients that may read metrics' },
} as const satisfies FlagTable;

export const leadingFlags = {
  'leader-elect': { type: 'boolean', default: true, help: 'work only while holding the lease' },
  'leader-elect-lease-duration': { type: 'duration', default: 15_000, help: 'how long a lease lasts' },
  'leader-elect-renew-deadline': { type: 'duration', default: 10_000, help: 'how long a leader tries to renew' },
  'leader-elect-retry-period': { type: 'duration', default: 2000, help: 'time between tries' },
  'log-level': { type: 'string', default: 'info', help: 'debug, info, warn or error' },
} as const satisfies FlagTable;

type SharedValues = FlagValues<typeof servingFlags> &
  FlagValues<typeof leadingFlags> & { readonly 'secure-port': number };

/** The part of a component's options that its flags say. */
export function componentOptions(values: SharedValues) {
  return {
    hostName: values['hostname-override'] ?? hostname(),
    kubeconfig: values.kubeconfig,
    servers: values.servers,
    bindAddress: values['bind-address'],
    securePort: values['secure-port'],
    tlsCertFile: values['tls-cert-file'],
    tlsPrivateKeyFile: values['tls-private-key-file'],
    clientCaFile: values['client-ca-file'],
    leaderElect: values['leader-elect'],
    leaseNamespace: 'kube-system',
    leaseDurationMs: values['leader-elect-lease-duration'],
    renewDeadlineMs: values['leader-elect-renew-deadline'],
    retryPeriodMs: values['leader-elect-retry-period'],
  } satisfies Partial<ComponentOptions>;
}
