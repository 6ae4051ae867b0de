// Messages with file descriptors over a unix stream connection (unix(7), SCM_RIGHTS; cmsg(3)): Node's own sockets cannot carry any. Every call blocks this
// thread until it is done or its time is over, so that nothing else happens meanwhile. A message is a kind and a length (u32, u32), then the bytes.
import { closeFd } from "./descriptor.ts";
import { EAGAIN, EINTR } from "./errno.ts";
import { address, bind, check, errno, SysError } from "./ffi.ts";

const socket = bind("int socket(int, int, int)");
const connect = bind("int connect(int, void *, unsigned int)");
const getsockopt = bind("int getsockopt(int, int, int, void *, void *)");
const sendmsg = bind("intptr_t sendmsg(int, uintptr_t, int)");
const recvmsg = bind("intptr_t recvmsg(int, uintptr_t, int)");
const poll = bind("int poll(uintptr_t, unsigned long, int)");

const AF_UNIX = 1;
const STREAM_CLOEXEC = 1 | 0x80000;
const SOL_SOCKET = 1;
const SO_PEERCRED = 17;
const SCM_RIGHTS = 1;
const MSG_CTRUNC = 8;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
const MSG_CMSG_CLOEXEC = 0x40000000;
const POLLIN = 1;
const POLLOUT = 4;
const SUN_PATH = 108;

const HEADER = 8;
/** More than a device has: its control socket, and three for each of 8 data threads. */
const MAX_FDS = 64;
const MAX_BYTES = 256 << 20;

// Byte offsets in one block: struct pollfd, struct msghdr (56 bytes), struct iovec, struct cmsghdr (16 bytes) and the descriptors after it.
const POLLFD = 0;
const MSGHDR = 16;
const IOVEC = 80;
const CMSG = 96;
const CMSG_HEADER = 16;
const BLOCK = CMSG + CMSG_HEADER + 4 * MAX_FDS;

export type Received = {
  readonly kind: number;
  /** Fresh memory, the receiver's. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** The receiver's to close. */
  readonly fds: readonly number[];
};

export class UnixChannel {
  readonly #fd: number;
  readonly #view: DataView<ArrayBuffer>;
  readonly #at: number;

  /** `fd`: a connected unix stream socket, blocking or not; it stays the caller's. Nobody else may read or write it. */
  constructor(fd: number) {
    this.#fd = fd;
    const block = new Uint8Array(BLOCK);
    this.#view = new DataView(block.buffer);
    this.#at = address(block);
  }

  /** Who the other end was when it connected. Throws SysError. */
  peer(): { readonly pid: number; readonly uid: number } {
    const credentials = new Int32Array(3);
    check(getsockopt(this.#fd, SOL_SOCKET, SO_PEERCRED, credentials, new Uint32Array([12])), "ask who is at the other end of a unix socket");
    return { pid: credentials[0]!, uid: credentials[1]! };
  }

  /** Bytes as they are, before any message. Throws SysError. */
  write(bytes: Uint8Array, ms: number): void {
    this.#write(bytes, [], performance.now() + ms);
  }

  /** Sends a message whole within `ms`. The receiver gets duplicates of `fds`. Throws SysError. */
  send(kind: number, bytes: Uint8Array, fds: readonly number[], ms: number): void {
    if (fds.length > MAX_FDS) throw new RangeError(`Cannot send ${fds.length} descriptors: ${MAX_FDS} at most`);
    const end = performance.now() + ms;
    const header = new Uint8Array(new ArrayBuffer(HEADER));
    new DataView(header.buffer).setUint32(0, kind);
    new DataView(header.buffer).setUint32(4, bytes.length);
    this.#write(header, fds, end);
    this.#write(bytes, [], end);
  }

  /** The next message; undefined when the other end has closed. Throws SysError (ETIMEDOUT: not within `ms`). */
  receive(ms: number): Received | undefined {
    const end = performance.now() + ms;
    const fds: number[] = [];
    try {
      const header = new Uint8Array(new ArrayBuffer(HEADER));
      if (!this.#read(header, fds, end)) return undefined;
      const view = new DataView(header.buffer);
      const length = view.getUint32(4);
      if (length > MAX_BYTES) throw new SysError(`take a message of ${length} bytes`, EMSGSIZE);
      const bytes = new Uint8Array(new ArrayBuffer(length));
      if (this.#read(bytes, fds, end)) return { kind: view.getUint32(0), bytes, fds: fds.splice(0) };
      bytes.fill(0);
      return undefined;
    } finally {
      for (const fd of fds) closeFd(fd);
    }
  }

  #write(bytes: Uint8Array, fds: readonly number[], end: number): void {
    for (let at = 0, rights = fds; at < bytes.length;) {
      this.#point(bytes.subarray(at), rights.length);
      rights.forEach((fd, i) => this.#view.setInt32(CMSG + CMSG_HEADER + 4 * i, fd, true));
      const n = sendmsg(this.#fd, this.#at + MSGHDR, MSG_DONTWAIT | MSG_NOSIGNAL);
      if (n < 0) {
        this.#await(errno(), POLLOUT, end, "send over a unix socket");
        continue;
      }
      at += n;
      rights = [];
    }
  }

  // Fills `into`; false: the other end closed before.
  #read(into: Uint8Array, fds: number[], end: number): boolean {
    for (let at = 0; at < into.length;) {
      this.#point(into.subarray(at), MAX_FDS);
      const n = recvmsg(this.#fd, this.#at + MSGHDR, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
      if (n < 0) {
        this.#await(errno(), POLLIN, end, "receive over a unix socket");
        continue;
      }
      const control = Number(this.#view.getBigUint64(MSGHDR + 40, true));
      if (control >= CMSG_HEADER && this.#view.getInt32(CMSG + 8, true) === SOL_SOCKET && this.#view.getInt32(CMSG + 12, true) === SCM_RIGHTS) {
        const length = Number(this.#view.getBigUint64(CMSG, true));
        for (let i = CMSG_HEADER; i < length; i += 4) fds.push(this.#view.getInt32(CMSG + i, true));
      }
      if ((this.#view.getInt32(MSGHDR + 48, true) & MSG_CTRUNC) !== 0) throw new SysError("take all descriptors that were sent", EMFILE);
      if (n === 0) return false;
      at += n;
    }
    return true;
  }

  // The message header for these bytes, with room for so many descriptors.
  #point(bytes: Uint8Array, fds: number): void {
    const v = this.#view;
    new Uint8Array(v.buffer, MSGHDR).fill(0);
    v.setBigUint64(MSGHDR + 16, BigInt(this.#at + IOVEC), true);
    v.setBigUint64(MSGHDR + 24, 1n, true);
    v.setBigUint64(IOVEC, BigInt(address(bytes)), true);
    v.setBigUint64(IOVEC + 8, BigInt(bytes.length), true);
    if (fds === 0) return;
    v.setBigUint64(MSGHDR + 32, BigInt(this.#at + CMSG), true);
    v.setBigUint64(MSGHDR + 40, BigInt(CMSG_HEADER + 4 * fds), true);
    v.setBigUint64(CMSG, BigInt(CMSG_HEADER + 4 * fds), true);
    v.setInt32(CMSG + 8, SOL_SOCKET, true);
    v.setInt32(CMSG + 12, SCM_RIGHTS, true);
  }

  // After a call that failed: waits until it is worth trying again, or throws.
  #await(failed: number, event: number, end: number, what: string): void {
    if (failed === EINTR) return;
    if (failed !== EAGAIN) throw new SysError(what, failed);
    const left = Math.ceil(end - performance.now());
    if (left <= 0) throw new SysError(what, ETIMEDOUT);
    this.#view.setInt32(POLLFD, this.#fd, true);
    this.#view.setInt16(POLLFD + 4, event, true);
    poll(this.#at + POLLFD, 1, left);
  }
}

const EMFILE = 24;
const EMSGSIZE = 90;
const ETIMEDOUT = 110;

/** Connects to the unix stream socket at `path`; the caller closes the descriptor. Throws SysError. */
export function connectUnix(path: string): number {
  const what = `connect to "${path}"`;
  const name = new TextEncoder().encode(path);
  if (name.length >= SUN_PATH) throw new SysError(what, 36); // ENAMETOOLONG
  const to = new Uint8Array(2 + SUN_PATH);
  new DataView(to.buffer).setUint16(0, AF_UNIX, true);
  to.set(name, 2);
  const fd = check(socket(AF_UNIX, STREAM_CLOEXEC, 0), "open a unix socket");
  if (connect(fd, to, 2 + name.length + 1) === 0) return fd;
  const e = errno();
  closeFd(fd);
  throw new SysError(what, e);
}
