/** The descriptors of every service that the store offers: what the gateway translates by and reflection tells. */
import electionDescriptor from '../../../proto/gen/etcd-election.json' with { type: 'json' };
import lockDescriptor from '../../../proto/gen/etcd-lock.json' with { type: 'json' };
import etcdDescriptor from '../../../proto/gen/etcd.json' with { type: 'json' };
import type { ProtoDescriptor } from '../../proto/grpc-service.ts';

export const storeDescriptors: readonly ProtoDescriptor[] = [etcdDescriptor, electionDescriptor, lockDescriptor];
