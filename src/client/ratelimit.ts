// A transport that asks at most so often: a bucket of tokens, as client-go has one. A watch is one request, however long it lasts.
import { pause } from "./pause.ts";
import type { Transport } from "./transport.ts";

export type RateLimit = { readonly perSecond: number; readonly burst: number };
/** What kubectl allows itself. */
export const KUBECTL_RATE: RateLimit = { perSecond: 50, burst: 300 };

/** First come, first served. `clock` gives ms that only grow. */
export function rateLimited(transport: Transport, { perSecond, burst }: RateLimit, clock: () => number = () => performance.now()): Transport {
  /** When the bucket will have been empty for the last time if nobody asks any more: each request moves it by one token's time. */
  let empty = -Infinity;
  const turn = async (signal?: AbortSignal): Promise<void> => {
    const now = clock();
    const token = 1000 / perSecond;
    empty = Math.max(empty, now - burst * token) + token;
    if (empty > now) await pause(empty - now, signal);
  };
  return {
    where: transport.where,
    request: async (r) => {
      await turn(r.signal);
      return transport.request(r);
    },
    webSocket: async (path, protocol, signal) => {
      await turn(signal);
      return transport.webSocket(path, protocol, signal);
    },
    close: () => transport.close(),
  };
}
