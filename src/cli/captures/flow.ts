// Feeds into one stream of packets in order of time.
import { type Feed, type Tapped } from "./tap.ts";
import { Merge } from "./merge.ts";
import { paced } from "./paced.ts";

const LOOK_MS = 20;

export type FlowOptions = {
  /** How long a packet waits for those of other feeds, in ms. */
  patience: number;
  /** Time of a packet for its place, in ns. */
  time: (t: Tapped) => bigint;
  /** Takes packets in order. What it throws ends the flow. */
  out: (batch: readonly Tapped[]) => void;
  /** A feed broke off; the others go on. */
  broken: (feed: Feed, why: unknown) => void;
};

/** Reads the feeds until all have ended. Resolves with the number of packets that came too late for their place. */
export async function flow(feeds: readonly Feed[], options: FlowOptions): Promise<number> {
  const [only] = feeds;
  if (feeds.length === 1 && only) {
    for await (const batch of paced(only.batches())) options.out(batch);
    return 0;
  }
  const merge = new Merge<Tapped>(feeds.length, options.patience, (t) => ({ time: options.time(t), bytes: t.packet.data.length + 200 }));
  let failure: { readonly why: unknown } | undefined;
  const drain = (): void => {
    if (failure) return;
    try {
      const ready = merge.take(performance.now());
      if (ready.length > 0) options.out(ready);
    } catch (why) {
      failure = { why };
      for (const f of feeds) void f.close();
    }
  };
  const timer = setInterval(drain, LOOK_MS);
  const read = async (feed: Feed, i: number): Promise<void> => {
    try {
      for await (const batch of paced(feed.batches())) {
        merge.add(i, batch, performance.now());
        drain();
      }
    } catch (why) {
      options.broken(feed, why);
    }
    merge.end(i);
  };
  await Promise.all(feeds.map(read));
  clearInterval(timer);
  drain();
  if (failure) throw failure.why;
  return merge.late;
}
