/** A proxy that is opened by its first question: most followers never ask their leader anything. */
import type { LeaderProxy } from '../server/lease-keeper.ts';

/** What `open` rejects with, whoever asks gets; the next question tries again. */
export function createLateLeaderProxy(open: () => Promise<LeaderProxy>): LeaderProxy {
  let opened: Promise<LeaderProxy> | undefined;
  const proxy = (): Promise<LeaderProxy> => {
    opened ??= open().catch((error: unknown) => {
      opened = undefined;
      throw error;
    });
    return opened;
  };
  return {
    keepAlive: async (peerUrls, id, signal) => (await proxy()).keepAlive(peerUrls, id, signal),
    timeToLive: async (peerUrls, id, withKeys, signal) => (await proxy()).timeToLive(peerUrls, id, withKeys, signal),
    promote: async (peerUrls, memberId, signal) => (await proxy()).promote(peerUrls, memberId, signal),
    close() {
      opened?.then(
        (made) => made.close(),
        // Nothing was opened, and whoever asked was told.
        () => undefined,
      );
    },
  };
}
