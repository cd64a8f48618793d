/** The etcd v3 services, as protobufjs defines them; the messages that are read and written most have codecs of their own. */
import etcdDescriptor from '../../../proto/gen/etcd.json' with { type: 'json' };
import healthDescriptor from '../../../proto/gen/health.json' with { type: 'json' };
import quorumDescriptor from '../../../proto/gen/store-quorum.json' with { type: 'json' };
import { loadService } from '../../proto/grpc-service.ts';
import { leanKv, leanWatch, withLean } from './codec-lean.ts';

export const kvService = withLean(loadService(etcdDescriptor, 'etcdserverpb.KV'), leanKv);
export const watchService = withLean(loadService(etcdDescriptor, 'etcdserverpb.Watch'), leanWatch);
export const leaseService = loadService(etcdDescriptor, 'etcdserverpb.Lease');
export const clusterService = loadService(etcdDescriptor, 'etcdserverpb.Cluster');
export const maintenanceService = loadService(etcdDescriptor, 'etcdserverpb.Maintenance');
export const authService = loadService(etcdDescriptor, 'etcdserverpb.Auth');
export const healthService = loadService(healthDescriptor, 'grpc.health.v1.Health');
/** The store's own: how the quorum stands. */
export const quorumService = loadService(quorumDescriptor, 'keelson.store.v1.Quorum');
