// What lies where in the device's one block of shared memory. All threads compute it alike; nothing here allocates or moves.
//   mailboxes, one a data worker | tables of src/wireguard | its secrets | vectors and buffers of each data worker | the control thread's scratch
import { DATA_THREADS, DEFAULT_LIMITS, type Limits, secretsSize, tablesSize } from "../wireguard/index.ts";
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
  readonly secrets: number;
  readonly workers: number;
  readonly control: number;
  readonly bytes: number;
};

const page = (at: number): number => Math.ceil(at / 4096) * 4096;

export function plan(threads = 1, limits: Limits = DEFAULT_LIMITS): Plan {
  const tables = MAILBOX_BYTES;
  const secrets = page(tables + tablesSize(limits));
  const workers = page(secrets + secretsSize(limits));
  const control = workers + threads * WORKER_BYTES;
  return { limits, threads, tables, secrets, workers, control, bytes: control + CONTROL_BYTES };
}

/** Byte offsets of a worker's part: start and end. */
export const partOf = (p: Plan, thread: number): readonly [number, number] => [
  p.workers + thread * WORKER_BYTES,
  p.workers + (thread + 1) * WORKER_BYTES,
];
