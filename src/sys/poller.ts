// Waiting for descriptors that Node's loop cannot watch (packet and ICMP sockets), without blocking it: one poll(2) for the whole process on a thread of
// the pool, however many descriptors there are, so that captures do not starve file and resolver work of threads.
import { closeEventfd, openEventfd, wake } from "./eventfd.ts";
import { address, bind, bindAsync } from "./ffi.ts";

const poll = bindAsync("int poll(uintptr_t, unsigned long, int)");
const read = bind("intptr_t read(int, void *, size_t)");

const POLLIN = 1;
const POLLERR = 8;
/** struct pollfd: fd i32, events i16, revents i16. */
const SIZE = 8;
/** Descriptors at once; more than any node has interfaces to watch. */
const CAPACITY = 1024;

type Waiter = { readonly fd: number; ready(events: number): void };

const waiters = new Set<Waiter>();
// poll(2) reads and writes it from another thread: its memory must never move.
let table: DataView<ArrayBuffer> | undefined;
let wakeFd = -1;
let polling = false;

async function run(): Promise<void> {
  table ??= new DataView(Buffer.allocUnsafeSlow((CAPACITY + 1) * SIZE).buffer);
  const eventfd = openEventfd();
  wakeFd = eventfd;
  const count = new Uint8Array(8);
  // process.exit() waits for the pool's threads.
  const onExit = (): void => wake(eventfd);
  process.once("exit", onExit);
  while (waiters.size > 0) {
    const asked = [...waiters].slice(0, CAPACITY);
    const fds = [eventfd, ...asked.map((w) => w.fd)];
    for (const [i, fd] of fds.entries()) {
      table.setInt32(i * SIZE, fd, true);
      table.setInt16(i * SIZE + 4, POLLIN | POLLERR, true);
      table.setInt16(i * SIZE + 6, 0, true);
    }
    const n = await poll(address(new Uint8Array(table.buffer)), fds.length, -1);
    if (n <= 0) continue; // interrupted
    if (table.getInt16(6, true) !== 0) read(eventfd, count, 8);
    for (const [i, w] of asked.entries()) {
      const events = table.getInt16((i + 1) * SIZE + 6, true);
      if (events !== 0 && waiters.delete(w)) w.ready(events);
    }
    // The ready ones get a turn to read before they are asked about again.
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
  process.off("exit", onExit);
  wakeFd = -1;
  closeEventfd(eventfd);
  polling = false;
}

/** Resolves with poll(2)'s revents when `fd` is readable or failed, or with 0 when `signal` aborts. Close `fd` only after that. */
export function readable(fd: number, signal: AbortSignal): Promise<number> {
  if (signal.aborted) return Promise.resolve(0);
  return new Promise((resolve) => {
    const abort = (): void => {
      waiters.delete(waiter);
      if (wakeFd >= 0) wake(wakeFd);
      resolve(0);
    };
    const waiter: Waiter = {
      fd,
      ready: (events) => {
        signal.removeEventListener("abort", abort);
        resolve(events);
      },
    };
    signal.addEventListener("abort", abort, { once: true });
    waiters.add(waiter);
    if (wakeFd >= 0) wake(wakeFd);
    if (polling) return;
    polling = true;
    void run();
  });
}
