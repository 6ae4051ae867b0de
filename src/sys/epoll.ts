// epoll(7) for a thread that blocks in it. Events land in the slab; nothing is allocated per wait.
import { closeFd } from "./descriptor.ts";
import { bind, check, errno } from "./ffi.ts";
import { EINTR } from "./errno.ts";
import type { Slab } from "./slab.ts";

const create = bind("int epoll_create1(int)");
const control = bind("int epoll_ctl(int, int, int, uintptr_t)");
const wait = bind("int epoll_wait(int, uintptr_t, int, int)");

const CLOEXEC = 0x80000;
const ADD = 1;
const REMOVE = 2;
/** struct epoll_event: packed on x86_64 (events u32, data u64 at 4), aligned elsewhere (data at 8). */
const STRIDE = process.arch === "x64" ? 12 : 16;
const DATA = process.arch === "x64" ? 4 : 8;

export const EPOLLIN = 1;
export const EPOLLERR = 8;
export const EPOLLHUP = 16;

export class Epoll {
  readonly #fd: number;
  readonly #slab: Slab;
  readonly #events: number;
  readonly #capacity: number;
  readonly #address: number;

  constructor(slab: Slab, capacity = 16) {
    this.#slab = slab;
    this.#capacity = capacity;
    this.#events = slab.take(capacity * STRIDE);
    this.#address = slab.base + this.#events;
    this.#fd = check(create(CLOEXEC), "make an epoll");
  }

  /** Watches `fd`, level-triggered; `token` (u32) comes back with its events. */
  add(fd: number, events: number, token: number): void {
    this.#slab.u32[this.#events >>> 2] = events;
    this.#slab.u32[(this.#events + DATA) >>> 2] = token;
    this.#slab.u32[(this.#events + DATA + 4) >>> 2] = 0;
    check(control(this.#fd, ADD, fd, this.#address), `watch file descriptor ${fd}`);
  }

  /** No error when it is not watched (any more). */
  remove(fd: number): void {
    control(this.#fd, REMOVE, fd, this.#address);
  }

  /** Blocks; -1 waits for ever. The number of events, 0 also when a signal interrupted. */
  wait(timeoutMs: number): number {
    const n = wait(this.#fd, this.#address, this.#capacity, timeoutMs);
    if (n < 0 && errno() !== EINTR) check(n, "wait for events");
    return n < 0 ? 0 : n;
  }

  events(i: number): number {
    return this.#slab.u32[(this.#events + i * STRIDE) >>> 2]!;
  }

  token(i: number): number {
    return this.#slab.u32[(this.#events + i * STRIDE + DATA) >>> 2]!;
  }

  close(): void {
    closeFd(this.#fd);
  }
}
