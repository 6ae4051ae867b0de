// Many foreign calls as one. A foreign call costs some 15 ns and 5 to 9 ns an argument on its way through Node-API, four times a packet: as much as the
// cipher itself takes for 500 bytes. So the calls of a batch are written down in memory, and one call walks the list. What walks it are 52 bytes of machine
// code: for each entry, load five arguments and call. Where there is none for the processor, or the system allows no such page, create() says so and the
// caller goes the plain way.
import { bind, bindAt, writeBytes } from "./ffi.ts";
import type { Slab } from "./slab.ts";

const mmap = bind("intptr_t mmap(uintptr_t, size_t, int, int, int, intptr_t)");
const mprotect = bind("int mprotect(uintptr_t, size_t, int)");
const munmap = bind("int munmap(uintptr_t, size_t)");
const dlsym = bind("uintptr_t dlsym(uintptr_t, str)");

const PAGE = 4096;
const READ_WRITE = 3;
const READ_EXECUTE = 5;
const PRIVATE_ANONYMOUS = 0x22;

/** void walk(entry *list, size_t n), n > 0; struct entry { void (*call)(); uint64_t argument[5]; }. Calling conventions: System V for x86-64. */
const WALK: Readonly<Record<string, readonly number[]>> = {
  x64: [
    [0x53], // push rbx
    [0x41, 0x54], // push r12
    [0x48, 0x83, 0xec, 0x08], // sub rsp, 8: the stack is aligned to 16 at each call
    [0x48, 0x89, 0xfb], // mov rbx, rdi
    [0x49, 0x89, 0xf4], // mov r12, rsi
    [0x48, 0x8b, 0x7b, 0x08], // again: mov rdi, [rbx + 8]
    [0x48, 0x8b, 0x73, 0x10], // mov rsi, [rbx + 16]
    [0x48, 0x8b, 0x53, 0x18], // mov rdx, [rbx + 24]
    [0x48, 0x8b, 0x4b, 0x20], // mov rcx, [rbx + 32]
    [0x4c, 0x8b, 0x43, 0x28], // mov r8, [rbx + 40]
    [0xff, 0x13], // call [rbx]
    [0x48, 0x83, 0xc3, 0x30], // add rbx, 48
    [0x49, 0xff, 0xcc], // dec r12
    [0x75, 0xe1], // jnz again
    [0x48, 0x83, 0xc4, 0x08], // add rsp, 8
    [0x41, 0x5c], // pop r12
    [0x5b], // pop rbx
    [0xc3], // ret
  ].flat(),
};

/** Words of an entry: the function's address, then the arguments. */
const ENTRY = 12;
const ARGUMENTS = 2;

let walk: ((list: number, n: number) => number) | undefined | null = null;

/** The machine code, once a process and thread; undefined where there is none. */
function walker(): typeof walk {
  const code = WALK[process.arch];
  if (!code) return undefined;
  const page = mmap(0, PAGE, READ_WRITE, PRIVATE_ANONYMOUS, -1, 0);
  if (page === -1) return undefined;
  writeBytes(page, Uint8Array.from(code));
  // Never writable and executable at once.
  if (mprotect(page, PAGE, READ_EXECUTE) === 0) return bindAt(page, "void walk(uintptr_t list, uintptr_t n)");
  munmap(page, PAGE);
  return undefined;
}

/** Address of a function that the process exports; 0: it does not. */
export const functionAddress = (name: string): number => dlsym(0, name);

export class CallList {
  readonly #u32: Uint32Array;
  readonly #word: number;
  readonly #address: number;
  readonly #walk: (list: number, n: number) => number;
  readonly #high: number;
  readonly #low: number;

  private constructor(slab: Slab, capacity: number, walkList: (list: number, n: number) => number) {
    const at = slab.take(capacity * ENTRY * 4, 64);
    this.#u32 = slab.u32;
    this.#word = at >>> 2;
    this.#address = slab.base + at;
    this.#walk = walkList;
    this.#low = slab.base % 2 ** 32;
    this.#high = Math.floor(slab.base / 2 ** 32);
    slab.u8.fill(0, at, at + capacity * ENTRY * 4);
  }

  /** A list of up to `capacity` calls; undefined where calls cannot be walked. */
  static create(slab: Slab, capacity: number): CallList | undefined {
    if (walk === null) walk = walker();
    // The high words of addresses are written once: no address of the slab may carry into them.
    if (!walk || (slab.base % 2 ** 32) + slab.buffer.byteLength > 2 ** 32) return undefined;
    return new CallList(slab, capacity, walk);
  }

  /** Entry `i` calls the function at `address`. */
  callee(i: number, address: number): void {
    this.#u32[this.#word + i * ENTRY] = address % 2 ** 32;
    this.#u32[this.#word + i * ENTRY + 1] = Math.floor(address / 2 ** 32);
  }
  /** Argument `k` (0 to 4) of entry `i` is a number, up to 2^32 - 1. */
  number(i: number, k: number, value: number): void {
    this.#u32[this.#word + i * ENTRY + ARGUMENTS + 2 * k] = value;
  }
  /** … is an offset in the slab, from now on: set it with pointer() only. */
  isPointer(i: number, k: number): void {
    this.#u32[this.#word + i * ENTRY + ARGUMENTS + 2 * k + 1] = this.#high;
  }
  /** … is the address of offset `at` in the slab. */
  pointer(i: number, k: number, at: number): void {
    this.#u32[this.#word + i * ENTRY + ARGUMENTS + 2 * k] = this.#low + at;
  }

  /** Makes the first `n` calls, in order; n > 0. */
  run(n: number): void {
    this.#walk(this.#address, n);
  }
}
