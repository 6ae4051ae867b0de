// The kernel runs the filter against junk, over real sockets on loopback.
import { afterAll, describe, expect, test } from "vitest";
import { parseIp } from "../../src/base/ip.ts";
import { indexFilter } from "../../src/runtime/indexfilter.ts";
import { Inbox } from "../../src/sys/inbox.ts";
import { release, share } from "../../src/sys/memory.ts";
import { Outgoing } from "../../src/sys/outgoing.ts";
import { Slab } from "../../src/sys/slab.ts";
import { attachFilter, detachFilter, droppedAt } from "../../src/sys/socketfilter.ts";
import { closeUdp, offloadUdp, openUdp, type UdpSockets } from "../../src/sys/udp.ts";
import { ENDPOINT_WORDS, writeEndpoint } from "../../src/wireguard/endpoint.ts";
import { MessageType, writeU32 } from "../../src/wireguard/messages.ts";

const OURS = 0x8123_4567;
const STRANGE = 0x6745_2381;
const LOOPBACK = { v4: { version: 4, ip: parseIp("127.0.0.1")!, end: 0x7f00_0001 }, v6: { version: 6, ip: parseIp("::1")!, end: 1 } } as const;
const NOBODY: ReadonlySet<number> = new Set([0x0a00_0001, 0xfe00_0001]);

const memory = share(2 << 20);
const slab = new Slab(memory);
const inbox = new Inbox(slab, 8);
const outgoing = new Outgoing(slab, 8, 64);
const endpoint = slab.take(4 * ENDPOINT_WORDS);
const area = slab.take(4096);
const open: UdpSockets[] = [];
afterAll(() => {
  open.forEach(closeUdp);
  release(memory);
});

function datagram(type: number, index: number, length = 48): Uint8Array {
  const bytes = new Uint8Array(48);
  writeU32(bytes, 0, type);
  writeU32(bytes, 4, index);
  return bytes.subarray(0, length);
}
const data = (index: number): Uint8Array => datagram(MessageType.DATA, index);
const isOf = (message: Uint8Array): string =>
  `${message[0]} ${message.length < 8 ? "" : new DataView(message.buffer, message.byteOffset).getUint32(4, true).toString(16)}`;

describe.each(["v4", "v6"] as const)("a filter of the sessions' indices at a %s socket", (family) => {
  const { version, ip, end } = LOOPBACK[family];
  const [from, to] = [openUdp(0), openUdp(0)];
  open.push(from, to);
  offloadUdp(to);
  const fd = to[family];
  const attach = (addresses: ReadonlySet<number>, indices: ReadonlySet<number> = new Set([OURS, 7, 8, 9, 10, 11])): void =>
    attachFilter(fd, indexFilter(version, indices, addresses)!);
  /** Sends, each by itself or all as one datagram that stays merged on its way, and gives what arrived, and how many were dropped. */
  function through(messages: readonly Uint8Array[], merged = false): { arrived: string[]; dropped: number } {
    const before = droppedAt(fd);
    outgoing.clear();
    let at = area;
    writeEndpoint(slab.u8, slab.u32, endpoint, { ip, port: to.port });
    for (const [i, message] of messages.entries()) {
      slab.u8.set(message, at);
      if (!merged || i === 0) outgoing.start(endpoint, 0);
      outgoing.append(at, message.length);
      if (!merged || i === messages.length - 1) outgoing.finish(merged ? messages[0]!.length : 0);
      at += 64;
    }
    const datagrams = merged ? 1 : messages.length;
    expect(outgoing.send(from[family], 0, datagrams)).toBe(datagrams);
    const arrived: string[] = [];
    for (let n = inbox.receive(fd, 8, true); n > 0; n = inbox.receive(fd, 8, true))
      for (let i = 0; i < n; i++) {
        const bytes = slab.u8.slice(inbox.at(i), inbox.at(i) + inbox.length(i));
        const size = inbox.segment(i) || bytes.length;
        for (let part = 0; part < bytes.length; part += size) arrived.push(isOf(bytes.subarray(part, part + size)));
        if (bytes.length === 0) arrived.push("empty");
      }
    return { arrived, dropped: droppedAt(fd) - before };
  }
  const [ours, strange] = [data(OURS), data(STRANGE)].map(isOf) as [string, string];

  test("drops, and counts, what has no index of ours, and what is no message", () => {
    attach(NOBODY);
    const initiation = datagram(MessageType.INITIATION, STRANGE);
    const all = [data(STRANGE), data(OURS), datagram(5, STRANGE), initiation, datagram(4, OURS, 4), datagram(0, 0, 0)];
    expect(through(all)).toEqual({ arrived: [ours, isOf(initiation)], dropped: 4 });
  });

  test("is replaced by the next one, and gone when it is detached", () => {
    attach(NOBODY, new Set([STRANGE]));
    expect(through([data(STRANGE), data(OURS)])).toEqual({ arrived: [strange], dropped: 1 });
    detachFilter(fd);
    expect(through([data(STRANGE), data(OURS)])).toEqual({ arrived: [strange, ours], dropped: 0 });
    expect(() => detachFilter(fd)).not.toThrow();
  });

  test("looks at the first of what was merged: so all passes that comes from a peer's address", () => {
    attach(NOBODY);
    expect(through([data(STRANGE), data(OURS)], true)).toEqual({ arrived: [], dropped: 1 });
    expect(through([data(OURS), data(STRANGE)], true)).toEqual({ arrived: [ours, strange], dropped: 0 });
    attach(new Set([...NOBODY, end]));
    expect(through([data(STRANGE), data(OURS)], true)).toEqual({ arrived: [strange, ours], dropped: 0 });
    expect(through([data(STRANGE)])).toEqual({ arrived: [strange], dropped: 0 });
    detachFilter(fd);
  });
});
