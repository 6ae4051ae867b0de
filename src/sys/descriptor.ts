// read(2) and write(2) with a native address: no view, no copy, no exception. What fails is -1 and errno().
import { bind } from "./ffi.ts";

export const readFd: (fd: number, address: number, bytes: number) => number = bind("intptr_t read(int, uintptr_t, size_t)");
export const writeFd: (fd: number, address: number, bytes: number) => number = bind("intptr_t write(int, uintptr_t, size_t)");
