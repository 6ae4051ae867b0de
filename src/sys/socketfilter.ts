// Classic BPF on a socket (socket(7), SO_ATTACH_FILTER; linux/filter.h), and how many datagrams the kernel dropped there.
import type { Program } from "../capture/filter/types.ts";
import { ENOENT } from "./errno.ts";
import { address, bind, check, errno, SysError } from "./ffi.ts";

const setsockopt = bind("int setsockopt(int, int, int, void *, unsigned int)");
const getsockopt = bind("int getsockopt(int, int, int, void *, void *)");

const SOL_SOCKET = 1;
const SO_ATTACH_FILTER = 26;
const SO_DETACH_FILTER = 27;
const SO_ATTACH_REUSEPORT_CBPF = 51;
const SO_MEMINFO = 55;
/** SK_MEMINFO_VARS and SK_MEMINFO_DROPS (linux/sock_diag.h). */
const MEMINFO_WORDS = 9;
const DROPS = 8;
/** struct sock_filter and struct sock_fprog. */
const INSTRUCTION = 8;
const RETURN = 6;
const FPROG = 16;

function attach(fd: number, option: number, program: Program): number {
  // In one piece, so that the instructions live as long as what points at them.
  const bytes = Buffer.allocUnsafeSlow(FPROG + program.length * INSTRUCTION);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, program.length, true);
  view.setBigUint64(8, BigInt(address(bytes) + FPROG), true);
  for (const [i, { code, jt, jf, k }] of program.entries()) {
    const at = FPROG + i * INSTRUCTION;
    view.setUint16(at, code, true);
    view.setUint8(at + 2, jt);
    view.setUint8(at + 3, jf);
    view.setUint32(at + 4, k, true);
  }
  return setsockopt(fd, SOL_SOCKET, option, bytes, FPROG);
}

/** Puts a program in the place of the one that the socket has, if any: no packet meets none. Throws SysError (ENOMEM: too long for net.core.optmem_max). */
export function attachFilter(fd: number, program: Program): void {
  check(attach(fd, SO_ATTACH_FILTER, program), "attach a filter to a socket");
}

/** Of the sockets that share a port, which one gets what comes, by the order they were opened in; a number that none has: the kernel's choice. */
export const chooseSocket = (fd: number, number: number): boolean =>
  attach(fd, SO_ATTACH_REUSEPORT_CBPF, [{ code: RETURN, jt: 0, jf: 0, k: number }]) === 0;

/** Also where there is none. Throws SysError. */
export function detachFilter(fd: number): void {
  if (setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, new Int32Array(1), 4) < 0 && errno() !== ENOENT)
    throw new SysError("detach a filter from a socket", errno());
}

/** What the kernel dropped here since the socket was made, modulo 2^32: the filter's, and what found the queue full. Merged datagrams count as one. */
export function droppedAt(fd: number): number {
  const words = new Uint32Array(MEMINFO_WORDS);
  return getsockopt(fd, SOL_SOCKET, SO_MEMINFO, words, new Uint32Array([words.byteLength])) < 0 ? 0 : words[DROPS]!;
}
