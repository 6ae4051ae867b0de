import { describe, expect, test } from "vitest";
import { parseIp } from "../base/ip.ts";
import { writeEndpoint } from "./endpoint.ts";
import { isLooped } from "./looped.ts";
import { packet } from "./rig.cases.ts";
import { createTables, Head, initTables, Row, rowOf, tablesSize } from "./tables.ts";

const LIMITS = { peers: 1, trieNodes: 1, stagedSlots: 1, stagedBytes: 64, handshakeCells: 1 };
const [OWN, THEIRS] = [4444, 51820];

/** A UDP packet (v4 or v6) to `to`; `options` of IPv4 lengthen its header, a fragment has this offset in units of 8. */
function udp(to: string, ports: readonly [number, number], { options = 0, offset = -1 } = {}): Uint8Array {
  const six = to.includes(":");
  const p = packet(six ? "fd00::1" : "10.0.0.1", to, 100);
  const view = new DataView(p.buffer);
  let at = six ? 40 : 20 + options;
  if (six) {
    p[6] = offset < 0 ? 17 : 44;
    if (offset >= 0) {
      p[at] = 17;
      view.setUint16(at + 2, (offset << 3) | 1);
      at += 8;
    }
  } else {
    p[0] = 0x40 | (at / 4);
    p[9] = 17;
    if (offset >= 0) view.setUint16(6, 0x2000 | offset);
  }
  view.setUint16(at, ports[0]);
  view.setUint16(at + 2, ports[1]);
  return p;
}

describe.for(["192.0.2.7", "2001:db8::7"])("isLooped(): a peer at %s", (peer) => {
  const other = peer.includes(":") ? "2001:db8::8" : "192.0.2.8";
  const cases: { name: string; bytes: Uint8Array; looped: boolean }[] = [
    { name: "our message to it", bytes: udp(peer, [OWN, THEIRS]), looped: true },
    { name: "its first fragment", bytes: udp(peer, [OWN, THEIRS], { offset: 0 }), looped: true },
    { name: "a later fragment", bytes: udp(peer, [OWN, THEIRS], { offset: 5 }), looped: false },
    { name: "from another program's port", bytes: udp(peer, [OWN + 1, THEIRS]), looped: false },
    { name: "to another port", bytes: udp(peer, [OWN, THEIRS + 1]), looped: false },
    { name: "to another address", bytes: udp(other, [OWN, THEIRS]), looped: false },
    { name: "to an address of the other family", bytes: udp(peer.includes(":") ? "192.0.2.7" : "2001:db8::7", [OWN, THEIRS]), looped: false },
    { name: "no UDP", bytes: udp(peer, [OWN, THEIRS]).map((b, i) => (b === 17 && (i === 9 || i === 6) ? 6 : b)), looped: false },
    { name: "cut off before its ports", bytes: udp(peer, [OWN, THEIRS]).slice(0, peer.includes(":") ? 43 : 23), looped: false },
    ...(peer.includes(":") ? [] : [{ name: "with options in its header", bytes: udp(peer, [OWN, THEIRS], { options: 8 }), looped: true }]),
  ];
  test.for(cases)("$name: $looped", ({ bytes, looped }) => {
    const tables = createTables(new ArrayBuffer(tablesSize(LIMITS) + 4096), 0, LIMITS);
    initTables(tables);
    tables.i32[tables.head + Head.PORT] = OWN;
    const row = rowOf(tables, 0);
    writeEndpoint(tables.u8, tables.u32, 4 * (row + Row.ENDPOINT), { ip: parseIp(peer)!, port: THEIRS });
    const at = tablesSize(LIMITS) + 3;
    tables.u8.set(bytes, at);
    expect(isLooped(tables, row, at, bytes.length)).toBe(looped);
  });
});
