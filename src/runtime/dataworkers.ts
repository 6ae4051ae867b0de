// The data workers as the control thread sees them: started and stopped.
import { Worker } from "node:worker_threads";
import { TortieError } from "../base/errors.ts";
import { wake } from "../sys/eventfd.ts";
import type { SharedMemory } from "../sys/memory.ts";
import { goOn, Mail } from "./mailbox.ts";
import type { Plan } from "./plan.ts";
import type { WorkerData, WorkerMessage } from "./worker.ts";

const STOP_MS = 2000;

export class DataWorkers {
  /** The packet crypto they picked; rejects when one cannot start. */
  readonly ready: Promise<string>;
  /** Rejects when one breaks. Never resolves. */
  readonly broken: Promise<never>;
  readonly #mails: readonly Int32Array[];
  readonly #threads: readonly Worker[];

  /** Starts one for each mailbox, which holds its first descriptors. `look` is called when one has left something for the control thread. */
  constructor(memory: SharedMemory, plan: Plan, mails: readonly Int32Array[], offloads: number, look: () => void) {
    this.#mails = mails;
    this.#threads = mails.map((_, thread) => {
      const workerData: WorkerData = { memory, plan, thread, offloads };
      return new Worker(new URL("./worker.js", import.meta.url), { workerData, name: `data ${thread}` });
    });
    this.broken = new Promise<never>((_, reject) => {
      for (const thread of this.#threads)
        thread.once("error", (cause) => reject(new TortieError(`Cannot go on: a data worker broke: ${cause.message}`, { cause })));
    });
    this.broken.catch(() => {}); // whoever waits for it hears of it
    const started = this.#threads.map(
      (thread) =>
        new Promise<string>((resolve) => {
          thread.on("message", (message: WorkerMessage) => (message === "look" ? look() : resolve(message.ready)));
        }),
    );
    this.ready = Promise.race([Promise.all(started).then((names) => names[0]!), this.broken]);
    this.ready.catch(() => {}); // it is awaited later
  }

  async stop(): Promise<void> {
    await Promise.all(
      this.#threads.map(
        (thread, i) =>
          new Promise<void>((resolve) => {
            const late = setTimeout(() => void thread.terminate(), STOP_MS);
            thread.once("exit", () => {
              clearTimeout(late);
              resolve();
            });
            Atomics.store(this.#mails[i]!, Mail.STOP, 1);
            goOn([this.#mails[i]!]);
            wake(Atomics.load(this.#mails[i]!, Mail.WAKE));
          }),
      ),
    );
  }
}
