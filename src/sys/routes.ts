// The kernel's routes as they are now (rtnetlink(7)): word of changes, and by which interface a packet would leave. In the network namespace of the thread
// that made it.
import { closeFd } from "./descriptor.ts";
import { bind, check, errno } from "./ffi.ts";
import { EINTR, ENOBUFS } from "./errno.ts";
import { ROUTE_CHANGES, subscribe } from "./rtnetlink.ts";

const send = bind("intptr_t send(int, void *, size_t, int)");
const receive = bind("intptr_t recv(int, void *, size_t, int)");

const AF_INET = 2;
const AF_INET6 = 10;
const RTM_NEWROUTE = 24;
const RTM_GETROUTE = 26;
const NLM_F_REQUEST = 1;
const RTA_DST = 1;
const RTA_SRC = 2;
const RTA_OIF = 4;
const RTA_MARK = 16;
/** struct nlmsghdr and struct rtmsg. */
const HEADER = 16;
const ROUTE = 12;

export class Routes {
  /** Becomes readable when a link, an address, a route or a rule changes. Non-blocking; heard() empties it. */
  readonly changes: number;
  readonly #ask: number;
  readonly #buffer = new Uint8Array(4096);

  /** Throws SysError. */
  constructor() {
    this.changes = subscribe(ROUTE_CHANGES);
    this.#ask = subscribe(0);
  }

  /** Takes all word of changes. */
  heard(): void {
    // A queue that was full says so once (ENOBUFS), and goes on.
    while (receive(this.changes, this.#buffer, this.#buffer.length, 0) >= 0 || errno() === EINTR || errno() === ENOBUFS);
  }

  /** Index of the interface by which a packet between these addresses (4 or 16 bytes) would leave now; undefined: it could not be sent. */
  interfaceTo(to: Uint8Array, from: Uint8Array, mark: number): number | undefined {
    const m = this.#request(to, from, mark);
    if (send(this.#ask, m, m.length, 0) < 0) check(-1, "ask for a route");
    // The kernel has answered by the time send() returns.
    const n = receive(this.#ask, this.#buffer, this.#buffer.length, 0);
    return n < HEADER + ROUTE ? undefined : outgoing(this.#buffer.subarray(0, n));
  }

  #request(to: Uint8Array, from: Uint8Array, mark: number): Uint8Array {
    const address = 4 + to.length;
    const m = new Uint8Array(HEADER + ROUTE + 2 * address + 8);
    const view = new DataView(m.buffer);
    view.setUint32(0, m.length, true);
    view.setUint16(4, RTM_GETROUTE, true);
    view.setUint16(6, NLM_F_REQUEST, true);
    m[HEADER] = to.length === 4 ? AF_INET : AF_INET6;
    m[HEADER + 1] = 8 * to.length;
    m[HEADER + 2] = 8 * from.length;
    let at = HEADER + ROUTE;
    for (const [type, value] of [
      [RTA_DST, to],
      [RTA_SRC, from],
    ] as const) {
      view.setUint16(at, address, true);
      view.setUint16(at + 2, type, true);
      m.set(value, at + 4);
      at += address;
    }
    view.setUint16(at, 8, true);
    view.setUint16(at + 2, RTA_MARK, true);
    view.setUint32(at + 4, mark, true);
    return m;
  }

  close(): void {
    closeFd(this.changes);
    closeFd(this.#ask);
  }
}

/** RTA_OIF of an answer; undefined when it is an error. */
function outgoing(answer: Uint8Array): number | undefined {
  const view = new DataView(answer.buffer, answer.byteOffset, answer.length);
  if (view.getUint16(4, true) !== RTM_NEWROUTE) return undefined;
  for (let at = HEADER + ROUTE; at + 8 <= answer.length;) {
    const length = view.getUint16(at, true);
    if (view.getUint16(at + 2, true) === RTA_OIF) return view.getUint32(at + 4, true);
    at += Math.max(4, (length + 3) & ~3);
  }
  return undefined;
}
