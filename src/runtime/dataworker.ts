// The data worker as the control thread sees it: started, told to look at the mailbox, stopped.
import { Worker } from "node:worker_threads";
import { TortieError } from "../base/errors.ts";
import { wake } from "../sys/eventfd.ts";
import { Mail } from "./plan.ts";
import type { WorkerData, WorkerMessage } from "./worker.ts";

const STOP_MS = 2000;
/** The worker answers within microseconds; it may be in the middle of a round. */
const PATIENCE_MS = 1000;

export type DataWorker = {
  /** The packet crypto it picked. */
  readonly crypto: string;
  /** Rejects when it breaks. Never resolves. */
  readonly broken: Promise<never>;
};

/** Resolves when it runs. `look` is called when it has left something for the control thread. */
export async function startWorker(data: WorkerData, look: () => void): Promise<DataWorker & { stop(): Promise<void> }> {
  const thread = new Worker(new URL("./worker.js", import.meta.url), { workerData: data, name: "data" });
  const broken = new Promise<never>((_, reject) => {
    thread.once("error", (cause) => reject(new TortieError(`Cannot go on: the data worker broke: ${cause.message}`, { cause })));
  });
  const ready = new Promise<string>((resolve) => {
    thread.on("message", (message: WorkerMessage) => (message === "look" ? look() : resolve(message.ready)));
  });
  const crypto = await Promise.race([ready, broken]);
  broken.catch(() => {}); // whoever waits for it hears of it
  const stop = (): Promise<void> =>
    new Promise((resolve) => {
      const late = setTimeout(() => void thread.terminate(), STOP_MS);
      thread.once("exit", () => {
        clearTimeout(late);
        resolve();
      });
      const mail = new Int32Array(data.memory.buffer);
      Atomics.store(mail, Mail.STOP, 1);
      wake(Atomics.load(mail, Mail.WAKE));
    });
  return { crypto, broken, stop };
}

/** Tells the worker that descriptors in the mailbox changed, and waits until it no longer uses the old ones. False: it still may. */
export function announceDescriptors(mail: Int32Array): boolean {
  const version = Atomics.add(mail, Mail.DESCRIPTORS, 1) + 1;
  wake(Atomics.load(mail, Mail.WAKE));
  for (const end = Date.now() + PATIENCE_MS; ;) {
    const seen = Atomics.load(mail, Mail.DESCRIPTORS_SEEN);
    const left = end - Date.now();
    if (seen === version || left <= 0) return seen === version;
    Atomics.wait(mail, Mail.DESCRIPTORS_SEEN, seen, left);
  }
}
