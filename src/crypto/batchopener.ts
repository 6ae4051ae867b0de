// Opens a capture's data messages in batches, in native memory: what is fastest on this machine (packets-listed.ts, else one message after the other).
import type { BatchOpener } from "../capture/opener.ts";
import { share } from "../sys/memory.ts";
import { Slab } from "../sys/slab.ts";
import { oneByOne } from "../wireguard/onebyone.ts";
import { DATA_HEADER, DATA_OVERHEAD, TAG_LENGTH } from "../wireguard/messages.ts";
import { SEAL_HEADROOM } from "../wireguard/crypto.ts";
import { listedPackets } from "./packets-listed.ts";
import { opensslPackets } from "./packets.ts";

/** Longest message that goes through the batch; a jumbo frame has less, and so has a part of a super-datagram. */
const LONGEST = 16_384;
/** Of a slot: the key, the counter, the sealed text with its tag, and the opened one, each after what the cipher overwrites before it. */
const COUNTER = 32;
const SEALED = 64 + SEAL_HEADROOM;
const TEXT = SEALED + LONGEST + TAG_LENGTH + SEAL_HEADROOM;
const SLOT = TEXT + LONGEST;
/** For the lists of calls and their tests. */
const ROOM = 1 << 18;

/** Holds keys and texts in its slots until it is wiped. */
export type WipedOpener = BatchOpener & { wipe(): void };

/** One a thread; wipe() when it is done with. Throws TortieError when there is no memory for it. */
export function batchOpener(): WipedOpener {
  const memory = share(ROOM + 64 * SLOT);
  const slab = new Slab(memory);
  const { opener } = listedPackets(slab) ?? oneByOne(opensslPackets(memory.buffer, memory.base));
  const { u8 } = slab;
  const slots = slab.take(opener.capacity * SLOT, 64);
  let n = 0;
  return {
    capacity: opener.capacity,
    longest: LONGEST,
    add(key, frame, at, end) {
      const slot = slots + n * SLOT;
      const length = end - at - DATA_OVERHEAD;
      u8.set(key, slot);
      for (let i = 0; i < 8; i++) u8[slot + COUNTER + i] = frame[at + 8 + i]!;
      u8.set(frame.subarray(at + DATA_HEADER, end), slot + SEALED);
      opener.open(slot, slot + COUNTER, slot + SEALED, slot + TEXT, length);
      n++;
    },
    run() {
      opener.run();
      n = 0;
    },
    opened: (i) => opener.opened(i),
    memory: () => u8,
    at: (i) => slots + i * SLOT + TEXT,
    wipe: () => void u8.fill(0, slots, slots + opener.capacity * SLOT),
  };
}
