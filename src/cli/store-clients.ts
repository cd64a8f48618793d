/**
 * The store as a client: of its peers, beside Raft, and of a store that introduces members. Loaded by the first question,
 * because a member that has joined asks hardly ever, and @grpc/grpc-js with Node's HTTP/2 under it takes 15 MB.
 */
export async function openClients() {
  const [grpc, questions, { createLeaderProxy }, { createKvClient }] = await Promise.all([
    import('@grpc/grpc-js'),
    import('../kv/rpc/peer-questions.ts'),
    import('../kv/rpc/leader-proxy.ts'),
    import('../kv/client/client.ts'),
  ]);
  // What grpc-js would print comes back as errors as well, and those are told in one line each.
  grpc.setLogVerbosity(grpc.logVerbosity.NONE);
  return { ...questions, createLeaderProxy, createKvClient };
}
