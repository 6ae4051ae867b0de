// Entry of a data worker's thread.
import { parentPort, workerData } from "node:worker_threads";
import { opensslPackets } from "../crypto/packets.ts";
import { listedPackets } from "../crypto/packets-listed.ts";
import type { SharedMemory } from "../sys/memory.ts";
import { Slab } from "../sys/slab.ts";
import { ownClock } from "../sys/threadclock.ts";
import { createTables, oneByOne } from "../wireguard/index.ts";
import { DataLoop } from "./dataloop.ts";
import { Mail, mailbox } from "./mailbox.ts";
import { OFFLOADS } from "./offloads.ts";
import { partOf, type Plan } from "./plan.ts";

/** What the control thread hands over. */
export type WorkerData = { readonly memory: SharedMemory; readonly plan: Plan; readonly thread: number; readonly offloads: number };
/** What the worker says: its crypto once it is ready to run, then "look" when the mailbox has something for the control thread. */
export type WorkerMessage = { readonly ready: string } | "look";

const { memory, plan, thread, offloads } = workerData as WorkerData;
const port = parentPort!;
const say = (message: WorkerMessage): void => port.postMessage(message);

const slab = new Slab(memory, ...partOf(plan, thread));
const packets = ((offloads & OFFLOADS["call-lists"]) !== 0 ? listedPackets(slab) : undefined) ?? oneByOne(opensslPackets(memory.buffer, memory.base));
const tables = createTables(memory.buffer, plan.tables, plan.limits);
const mail = mailbox(memory.buffer, thread);
mail[Mail.CLOCK] = ownClock();
const loop = new DataLoop(slab, mail, tables, packets, { thread, threads: plan.threads, offloads }, () => say("look"));
say({ ready: packets.name });
loop.run();
