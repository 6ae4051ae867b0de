// Foreign functions: libc and what the Node binary itself exports (OpenSSL). The one file that loads koffi; node:ffi can take its place later.
import koffi from "koffi";

// null is the running process: never a relative library name.
const self = koffi.load(null);

export type Native = (...args: (number | bigint | string | null | ArrayBufferView)[]) => number;

/**
 * Binds a C function by its prototype, e.g. `int socket(int, int, int)`. Pointers are best declared `uintptr_t` and passed as numbers
 * (address()): a call costs about 50 ns that way, and strings, structs and BigInt are far dearer. `void *` takes a typed array.
 */
export const bind = (prototype: string): Native => self.func(prototype);
/** As bind, but undefined when the process does not export the symbol (distribution builds of Node lack OpenSSL's internals). */
export function bindOptional(prototype: string): Native | undefined {
  try {
    return bind(prototype);
  } catch {
    return undefined;
  }
}
/** As bind; the call runs on a thread of koffi's pool. For calls that block. Never on the data path. */
export function bindAsync(prototype: string): (...args: (number | string | null | ArrayBufferView)[]) => Promise<number> {
  const f = self.func(prototype);
  return (...args) =>
    new Promise((resolve, reject) => f.async(...args, (error: unknown, result: number) => (error ? reject(error) : resolve(result))));
}
/** Binds the function whose code is at an address. */
export const bindAt = (at: number, prototype: string): Native => koffi.decode(BigInt(at), koffi.proto(prototype)) as Native;
/** Writes bytes to memory outside JavaScript's. */
export const writeBytes = (at: number, bytes: Uint8Array): void => koffi.encode(BigInt(at), koffi.array("uint8_t", bytes.length), Array.from(bytes));
/** Address of a typed array's first byte. Stable only for memory that never moves: a shared WebAssembly.Memory, or a Buffer of its own. */
export const address = (view: ArrayBufferView): number => Number(koffi.address(view));
/** Memory of the kernel's (a mapping) as a buffer. It must not be touched any more once it is unmapped. */
export const viewAt = (at: number, bytes: number): ArrayBuffer => koffi.view(at, bytes);
/** errno of the last call on this thread; read it at once. */
export const errno = (): number => koffi.errno();

const NAMES = new Map(Object.entries(koffi.os.errno).map(([name, number]) => [number, name]));
/** "EADDRINUSE" of 98. */
export const errnoName = (n: number): string => NAMES.get(n) ?? `errno ${n}`;

/** A system call that failed: which one, on what, and the kernel's answer. */
export class SysError extends Error {
  readonly errno: number;
  readonly code: string;
  constructor(what: string, number: number) {
    super(`Cannot ${what}: ${errnoName(number)}`);
    this.name = "SysError";
    this.errno = number;
    this.code = errnoName(number);
  }
}
/** The result of a call that answers -1 on failure, or a SysError. `what` completes "Cannot …". */
export function check(result: number, what: string): number {
  if (result < 0) throw new SysError(what, errno());
  return result;
}
