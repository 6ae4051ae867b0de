// eventfd(2): how one thread wakes another that blocks in epoll.
import { closeFd } from "./descriptor.ts";
import { bind, check } from "./ffi.ts";

const create = bind("int eventfd(unsigned int, int)");
const add = bind("int eventfd_write(int, uint64_t)");
const read = bind("intptr_t read(int, uintptr_t, size_t)");

const NONBLOCK_CLOEXEC = 0x80800;

export const openEventfd = (): number => check(create(0, NONBLOCK_CLOEXEC), "make an eventfd");

/** Wakes whoever waits for `fd`. Waking twice before it looks is one wake. */
export function wake(fd: number): void {
  add(fd, 1);
}

/** Takes the wake away; `scratch` is the native address of 8 bytes. */
export function drain(fd: number, scratch: number): void {
  read(fd, scratch, 8);
}

export const closeEventfd = (fd: number): void => void closeFd(fd);
