/** What the store says it is. Tools parse the etcd version to choose flags and features, so it is one that exists. */
export const etcdVersion = '3.6.5';
/** Major and minor: what all members of a cluster speak. */
export const etcdClusterVersion = '3.6.0';
