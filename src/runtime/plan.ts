// What lies where in the device's one block of shared memory. Both threads compute it alike; nothing here allocates or moves.
//   mailbox | tables of src/wireguard | the data worker's vectors and buffers | the control thread's scratch
import { DEFAULT_LIMITS, type Limits, tablesSize } from "../wireguard/index.ts";

/** Words at the start of the memory. Control writes those marked C, the worker those marked D. */
export const Mail = {
  /** C: 1: end. */
  STOP: 0,
  /** C: counts up when a descriptor below changed; D: answers with the count it acts on, and notifies. */
  DESCRIPTORS: 1,
  DESCRIPTORS_SEEN: 2,
  /** C: descriptors; -1: none. */
  TUN: 3,
  WAKE: 4,
  LINK: 5,
  UDP4: 6,
  UDP6: 7,
  /** D sets, C clears: the control thread has been told that there is something to look at. */
  TOLD: 8,
  /** D sets, C takes: links of the namespace changed. */
  LINK_CHANGED: 9,
  /** D: 1: the TUN is gone for good. */
  TUN_GONE: 10,
  /** D, counter: inner packets that the TUN did not take (it is down, or its queue is full). */
  TUN_REFUSED: 11,
  /** D, counter: rounds of the loop. */
  ROUNDS: 12,
} as const;

const MAILBOX_BYTES = 4096;
/** Receive buffers for 16 datagrams and send slots for 32 packets of any length, each with its vector. */
const WORKER_BYTES = 4 << 20;
const CONTROL_BYTES = 8192;

export type Plan = { readonly limits: Limits; readonly tables: number; readonly worker: number; readonly control: number; readonly bytes: number };

export function plan(limits: Limits = DEFAULT_LIMITS): Plan {
  const tables = MAILBOX_BYTES;
  const worker = Math.ceil((tables + tablesSize(limits)) / 4096) * 4096;
  const control = worker + WORKER_BYTES;
  return { limits, tables, worker, control, bytes: control + CONTROL_BYTES };
}
