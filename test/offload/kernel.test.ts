// Splitting and merging against the kernel's own, over real TUN links.
import { spawnSync } from "node:child_process";
import { beforeAll, expect, test } from "vitest";
import { describeRoot } from "../peers.ts";

/** Runs a script of this folder in a network namespace of its own: what it prints. */
function run<T>(script: string): T {
  const path = new URL(script, import.meta.url).pathname;
  const ran = spawnSync("unshare", ["-n", process.execPath, "--import", "tsx", path], { encoding: "utf8", timeout: 250_000, maxBuffer: 64 << 20 });
  if (ran.status !== 0) throw new Error(ran.stderr);
  return JSON.parse(ran.stdout) as T;
}

/** Packets in hex. */
type Packets = readonly string[];

describeRoot("a kernel that forwards between TUN links", () => {
  type Forwarded = {
    readonly split: readonly { name: string; kernel: Packets; ours: Packets; naive: Packets }[];
    readonly alone: readonly { name: string; kernel: Packets; ours: Packets }[];
    readonly taken: number;
    readonly refused: number;
    readonly merged: readonly {
      name: string;
      writes: number;
      packets: number;
      back: Packets;
      handed: number;
      again: Packets;
      sent: Packets;
      sentToZ: Packets;
    }[];
  };
  let seen: Forwarded;
  beforeAll(() => void (seen = run<Forwarded>("forward.live.ts")));

  test("splits as we do", () => {
    expect(seen.split).toHaveLength(16);
    for (const { name, kernel, ours, naive } of seen.split) {
      expect(ours, name).toEqual(naive);
      expect(kernel, name).toEqual(ours);
    }
  });
  test("completes a checksum as we do", () => {
    expect(seen.alone).toHaveLength(4);
    for (const { name, kernel, ours } of seen.alone) expect(kernel, name).toEqual(ours);
  });
  test("takes what we merged: splits it into what it was, or hands it over whole", () => {
    expect(seen.merged).toHaveLength(12);
    for (const { name, writes, packets, back, handed, again, sent, sentToZ } of seen.merged) {
      expect(writes, name).toBeLessThan(packets);
      expect(back, name).toEqual(sent);
      expect(handed, name).toBe(writes);
      expect(again, name).toEqual(sentToZ);
    }
  });
  test("takes what we merged of mutated packets", () => {
    expect(seen.refused).toBe(0);
    expect(seen.taken).toBeGreaterThan(100);
  });
});

type Talk = {
  readonly kind: string;
  readonly address: string;
  readonly sent: string;
  readonly received: string;
  readonly there: { handed: number; supers: number; packets: number; wrong: number; writes: number; merged: number };
};
describeRoot("two kernels with our splitting and merging between them", () => {
  test("streams and datagrams arrive as they were sent, over IPv4 and IPv6", () => {
    const talks = run<readonly Talk[]>("relay.live.ts");
    expect(talks).toHaveLength(4);
    for (const { kind, address, sent, received, there } of talks) {
      const name = `${kind} to ${address}`;
      expect(received, name).toBe(sent);
      expect(there.wrong, name).toBe(0);
      // It was handed over whole, and went on whole.
      expect(there.supers, name).toBeGreaterThan(0);
      expect(there.packets, name).toBeGreaterThan(there.handed);
      expect(there.merged, name).toBeGreaterThan(0);
      expect(there.writes, name).toBeLessThan(there.packets);
    }
  });
});
