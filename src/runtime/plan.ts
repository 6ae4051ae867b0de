// What lies where in the device's one block of shared memory. All threads compute it alike; nothing here allocates or moves.
//   mailboxes, one a data worker | tables of src/wireguard | vectors and buffers of each data worker | the control thread's scratch
import { DATA_THREADS, DEFAULT_LIMITS, type Limits, tablesSize } from "../wireguard/index.ts";
import { Mail } from "./mailbox.ts";

const MAILBOX_BYTES = 4 * Mail.WORDS * DATA_THREADS;
/** Receive buffers, the packet from the TUN, sealed messages and opened packets, and the vectors that name them. */
const WORKER_BYTES = 4 << 20;
const CONTROL_BYTES = 8192;

export type Plan = {
  readonly limits: Limits;
  readonly threads: number;
  /** Byte offsets. */
  readonly tables: number;
  readonly workers: number;
  readonly control: number;
  readonly bytes: number;
};

export function plan(threads = 1, limits: Limits = DEFAULT_LIMITS): Plan {
  const tables = MAILBOX_BYTES;
  const workers = Math.ceil((tables + tablesSize(limits)) / 4096) * 4096;
  const control = workers + threads * WORKER_BYTES;
  return { limits, threads, tables, workers, control, bytes: control + CONTROL_BYTES };
}

/** Byte offsets of a worker's part: start and end. */
export const partOf = (p: Plan, thread: number): readonly [number, number] => [
  p.workers + thread * WORKER_BYTES,
  p.workers + (thread + 1) * WORKER_BYTES,
];
