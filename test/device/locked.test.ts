// Keys stay out of swap: all of them, or those of the first peers where the process may lock only little memory.
import { expect, test } from "vitest";
import { plan } from "../../src/runtime/plan.ts";
import { createTables, keypairBytes } from "../../src/wireguard/index.ts";
import { describeRoot, TORTIE } from "../peers.ts";
import { Host } from "./host.ts";
import { mappings } from "./memory.ts";
import { IF } from "./tunnel.ts";

const LIMIT = 8 << 20;
const where = plan();
const keypairs = keypairBytes(createTables(new ArrayBuffer(where.bytes), where.tables, where.limits)).at;

/** Where in the device's shared memory the locked pieces are; each of its two mappings has its own. */
const lockedPieces = (pid: number): { from: number; bytes: number }[] =>
  mappings(pid)
    .filter(({ name, flags }) => name.startsWith("/dev/zero") && flags.split(" ").includes("lo"))
    .map(({ from, to, offset }) => ({ from: offset, bytes: to - from }));

describeRoot("memory of keys", () => {
  const limited = ["prlimit", `--memlock=${LIMIT}`, "--", "setpriv", "--bounding-set=-ipc_lock", "--inh-caps=-ipc_lock", "--"];
  test.for([
    { name: "all of it where that is allowed", before: [], limit: Infinity, says: false },
    { name: "that of the first peers where 8 MB are allowed", before: limited, limit: LIMIT, says: true },
  ])("is locked: $name", async ({ before, limit, says }) => {
    const host = await Host.create();
    try {
      const device = await host.device([...before, process.execPath, TORTIE, "device"], IF);
      const pieces = lockedPieces(device.child.pid!);
      for (const first of [where.secrets, keypairs])
        expect(pieces.filter(({ from, bytes }) => from <= first && first + 4096 < from + bytes).length).toBe(2);
      expect(pieces.reduce((sum, { bytes }) => sum + bytes, 0)).toBeLessThanOrEqual(limit);
      expect(device.output().includes("not all memory of keys could be locked")).toBe(says);
    } finally {
      await host.close();
    }
  });
});
