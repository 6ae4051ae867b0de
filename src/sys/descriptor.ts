// read(2) and write(2) with a native address: no view, no copy, no exception. What fails is -1 and errno(). And close(2) for descriptors that foreign
// functions made: node:fs warns about closing those in a worker.
import { bind } from "./ffi.ts";

export const readFd: (fd: number, address: number, bytes: number) => number = bind("intptr_t read(int, uintptr_t, size_t)");
export const writeFd: (fd: number, address: number, bytes: number) => number = bind("intptr_t write(int, uintptr_t, size_t)");
export const closeFd: (fd: number) => number = bind("int close(int)");
