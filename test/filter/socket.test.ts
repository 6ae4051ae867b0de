// Live capture: a packet socket on interfaces of its own.
import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";
import { describeRoot } from "../peers.ts";

const script = new URL("socket.live.ts", import.meta.url).pathname;
const run = (what: string): unknown => {
  const ran = spawnSync("unshare", ["-n", process.execPath, "--import", "tsx", script, what], { encoding: "utf8", timeout: 200_000 });
  if (ran.status !== 0) throw new Error(ran.stderr);
  return JSON.parse(ran.stdout);
};

describeRoot("a packet socket", () => {
  test("loses nothing at 10,000 packets a second, lets nothing else in, and leaves the event loop alone", () => {
    expect(run("rate")).toEqual({ packets: 20_000, numbers: 20_000, dropped: 0, ticking: true });
  });
  test("100,000 packets, as fast as they can be sent: none is lost while there is room, and they are in order", () => {
    expect(run("many")).toEqual({ sent: 100_000, packets: 100_000, inOrder: true, received: 100_000, dropped: 0 });
  });
  test("100,000 packets into a small ring that nobody reads: what is missing is counted, none goes unsaid", () => {
    expect(run("lossy")).toEqual({ accounted: true, received: true, lost: true, marked: true });
  });
  test("takes less memory when there is not so much", () => expect(run("memory")).toEqual({ less: true, works: true }));
  test("says how super-datagrams are to be cut, where the kernel says it", () => {
    expect(run("segments")).toEqual([
      [4542, 1000],
      [942, 0],
      [4548, "not said"],
      [948, "not said"],
    ]);
  });
  test("cuts data messages in the kernel, and leaves handshakes and everything else whole", () => {
    // Length on the wire, length kept; IPv4 and IPv6 each.
    expect(run("dataLength")).toEqual([
      [190, 190],
      [210, 210],
      [190, 96],
      [210, 96],
      [74, 74],
      [94, 94],
      [1442, 96],
      [1462, 96],
      [134, 134],
      [154, 154],
      [1442, 1442],
      [1462, 1462],
    ]);
  });
  test("finds VLAN tags in the data and beside it", () => {
    const seen = run("tags") as Record<string, number[]>;
    for (const name of ["c0", "c1"])
      expect([
        name,
        seen[`${name} vlan 7`],
        seen[`${name} vlan and ip`],
        seen[`${name} not vlan and ip`],
        seen[`${name} vlan 8 and ip[8] = 0x45`],
      ]).toEqual([name, [7], [7, 8], [], [8]]);
  });
  test("two batches later than its reader it waits; nothing is lost while the ring has room", () => expect(run("slow")).toEqual({ packets: 500 }));
  test("gives link types, directions, VLAN tags and lengths", () => {
    expect(run("kinds")).toEqual({
      veth: { linkType: 1, out: true, in: true },
      tun: { linkType: 101 },
      any: { linkType: 276, indexes: true },
      vlan: { type: 0x8100, id: 7, inner: 0x800, length: 58 },
      cut: { data: 60, originalLength: 1042 },
    });
  });
  test("says when its interface is gone; several can be open at once and closed early", () =>
    expect(run("gone")).toEqual({ gone: 'Cannot go on capturing on "c0": the interface is gone', open: 0 }));
});
