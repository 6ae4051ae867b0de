// Live capture: a packet socket on interfaces of its own.
import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";
import { describeRoot } from "../peers.ts";

const script = new URL("socket.live.ts", import.meta.url).pathname;
const run = (what: string): unknown => {
  const ran = spawnSync("unshare", ["-n", process.execPath, "--import", "tsx", script, what], { encoding: "utf8", timeout: 60_000 });
  if (ran.status !== 0) throw new Error(ran.stderr);
  return JSON.parse(ran.stdout);
};

describeRoot("a packet socket", () => {
  test("loses nothing at 10,000 packets a second, lets nothing else in, and leaves the event loop alone", () => {
    expect(run("rate")).toEqual({ packets: 20_000, numbers: 20_000, dropped: 0, ticking: true });
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
