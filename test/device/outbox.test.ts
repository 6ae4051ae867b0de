// The outbox over real sockets on loopback: every message that is added arrives once, whatever mixture of peers and lengths fills it, and whatever one peer
// is like, the others' go out as ever.
import { afterAll, describe, expect, test } from "vitest";
import { parseIp } from "../../src/base/ip.ts";
import { nobleCrypto } from "../../src/crypto/noble.ts";
import { nodePackets } from "../../src/crypto/packets-node.ts";
import { Outbox } from "../../src/runtime/outbox.ts";
import { Inbox } from "../../src/sys/inbox.ts";
import { release, share } from "../../src/sys/memory.ts";
import { Slab } from "../../src/sys/slab.ts";
import { closeUdp, offloadUdp, openUdp } from "../../src/sys/udp.ts";
import { createTables, DataHalf, Device, initTables, type Limits, oneByOne, tablesSize } from "../../src/wireguard/index.ts";

const PEERS = 300;
/** Its endpoint has port 0, which the kernel refuses: EINVAL, as for a run that it cannot cut. A peer that sends from there makes itself one. */
const REFUSED = PEERS - 1;
const LIMITS: Limits = { peers: PEERS, trieNodes: 8, stagedSlots: 8, stagedBytes: 2048, handshakeCells: 8 };
const memory = share(tablesSize(LIMITS) + (4 << 20));
const slab = new Slab(memory, Math.ceil(tablesSize(LIMITS) / 4096) * 4096);
const tables = createTables(memory.buffer, 0, LIMITS);
initTables(tables);
const device = new Device(tables, nobleCrypto);
const { sender } = new DataHalf(tables, oneByOne(nodePackets(memory.buffer)));
const inbox = new Inbox(slab, 16);
const [from, to] = [openUdp(0), openUdp(0)];
offloadUdp(to, { segment: true, gro: false });
afterAll(() => {
  [from, to].forEach(closeUdp);
  release(memory);
});

const addPeer = (i: number, port = to.port): void => {
  const peer = device.addPeer(Uint8Array.of(i, i >>> 8, ...new Uint8Array(29), 1));
  if (peer === undefined || peer === "full") throw new Error("no peer");
  device.setEndpoint(peer, { ip: parseIp("127.0.0.1")!, port });
};
for (let i = 0; i < PEERS; i++) addPeer(i, i === REFUSED ? 0 : to.port);

let number = 0;
/** A message of `length` bytes to the peer, which begins with its number. */
function add(outbox: Outbox, peer: number, length: number): void {
  if (!outbox.fits(length)) outbox.flush(from.v4, from.v6);
  const at = outbox.place;
  new DataView(memory.buffer).setUint32(at, ++number);
  Object.assign(sender, { peer, messageAt: at, messageLength: length });
  outbox.add();
}
/** The numbers of what came, in order; an empty datagram is -1. */
function numbers(): number[] {
  const all: number[] = [];
  for (let n = inbox.receive(to.v4, 16, false); n > 0; n = inbox.receive(to.v4, 16, false))
    for (let i = 0; i < n; i++) all.push(inbox.length(i) < 4 ? -1 : new DataView(memory.buffer).getUint32(inbox.at(i)));
  return all;
}
const upTo = (n: number, first: number): number[] => Array.from({ length: n }, (_, i) => first + i);

describe.each([true, false])("segmentation %s", (segmentation) => {
  const outbox = new Outbox(slab, sender, segmentation, () => {});
  test.each([1, 127, 128, 129, 130, 257, 299])("one message for each of %d peers", (n) => {
    const first = number + 1;
    for (let peer = 0; peer < n; peer++) add(outbox, peer % REFUSED, 32);
    outbox.flush(from.v4, from.v6);
    expect(numbers()).toEqual(upTo(n, first));
  });
  test.each([64, 65, 1023, 1024, 1025, 1100])("%d messages for one peer, of the same length and of others", (n) => {
    for (const length of [() => 100, (i: number) => 100 + (i % 3), (i: number) => 2000 - i]) {
      const first = number + 1;
      for (let i = 0; i < n; i++) {
        add(outbox, 1, length(i));
        // The socket holds no more than some.
        if (i % 100 === 99) outbox.flush(from.v4, from.v6);
      }
      outbox.flush(from.v4, from.v6);
      expect(numbers()).toEqual(upTo(n, first));
    }
  });
});

test("a source that is gone is forgotten, and takes neither messages nor segmentation away", () => {
  const outbox = new Outbox(slab, sender, true, () => {});
  offloadUdp(to, { segment: true, gro: true });
  const [peer] = device.peers();
  for (const source of ["192.0.2.99", "127.0.0.1"]) {
    device.setEndpoint(peer!, { ip: parseIp("127.0.0.1")!, port: to.port, source: { ip: parseIp(source)!, interface: 1 } });
    for (let i = 0; i < 4; i++) add(outbox, 0, 1000);
    outbox.flush(from.v4, from.v6);
    let bytes = 0;
    const n = inbox.receive(to.v4, 16, true);
    for (let i = 0; i < n; i++) bytes += inbox.length(i);
    expect(bytes).toBe(4000);
    expect(n, "as one").toBe(1);
    expect(peer!.endpoint()?.source?.ip.join(".")).toBe(source === "127.0.0.1" ? source : undefined);
  }
});

test("a peer that cannot be sent to takes segmentation away from nobody", () => {
  const outbox = new Outbox(slab, sender, true, () => {});
  offloadUdp(to, { segment: true, gro: true });
  const merged = (): number[] => {
    for (let i = 0; i < 4; i++) add(outbox, 1, 1000);
    outbox.flush(from.v4, from.v6);
    const n = inbox.receive(to.v4, 16, true);
    return Array.from({ length: n }, (_, i) => inbox.segment(i));
  };
  expect(merged()).toEqual([1000]);
  for (let i = 0; i < 4; i++) add(outbox, REFUSED, 100);
  outbox.flush(from.v4, from.v6);
  expect(sender.peer).toBe(REFUSED);
  expect(merged()).toEqual([1000]);
});
