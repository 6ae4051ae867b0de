// The data half: what happens to each packet (whitepaper sections 5.4.6 and 6), without allocation: arguments are byte offsets into the tables' memory,
// results are numbers and fields of the objects. sender.ts has the way out, receiver.ts the way in.
import type { Packets } from "./crypto.ts";
import { Receiver } from "./receiver.ts";
import { Sender } from "./sender.ts";
import { Head, type Tables } from "./tables.ts";

/** One data thread's view of the device. */
export class DataHalf {
  readonly sender: Sender;
  readonly receiver: Receiver;
  readonly #i32: Int32Array;
  readonly #epoch: number;

  /** `thread`: 0 .. `threads` - 1, at most DATA_THREADS. All calls of one DataHalf are on one thread. */
  constructor(tables: Tables, packets: Packets, thread = 0, threads = 1) {
    this.sender = new Sender(tables, packets.sealer, thread, threads > 1);
    this.receiver = new Receiver(tables, packets.opener, this.sender, thread, threads > 1);
    this.#i32 = tables.i32;
    this.#epoch = tables.head + Head.EPOCH + thread;
  }

  /** Before a round of work. */
  enter(): void {
    Atomics.or(this.#i32, this.#epoch, 1);
  }
  /** After it, before waiting: from here until enter() no other function may be called. */
  leave(): void {
    if ((Atomics.load(this.#i32, this.#epoch) & 1) !== 0) Atomics.add(this.#i32, this.#epoch, 1);
  }
}
