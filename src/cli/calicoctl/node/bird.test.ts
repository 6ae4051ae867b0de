import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { askBird, peersOf } from "./bird.ts";
import { nodeStatus } from "./status.ts";

// What a BIRD 1.6 of calico-node answers (the form is that of BIRD's own documentation).
const ANSWER = `0001 BIRD v0.3.3+birdv1.6.8 ready.
2002-name     proto    table    state  since       info
1002-static1  Static   master   up     2026-11-23
 kernel1  Kernel   master   up     2026-11-23
 Mesh_192_168_10_2 BGP      master   up     12:01:02    Established
 Global_192_168_10_9 BGP      master   start  12:01:05    Active        Socket: Connection refused
 Node_192_168_10_8 BGP      master   up     12:01:07    Established
 other_192_168_10_7 BGP      master   up     12:01:07    Established
0000${" "}
`;

test("peersOf() gives the BGP peers that calico-node named", () => {
  expect(peersOf(ANSWER, 4)).toEqual([
    { address: "192.168.10.2", type: "node-to-node mesh", state: "up", since: "12:01:02", info: "Established" },
    { address: "192.168.10.9", type: "global", state: "start", since: "12:01:05", info: "Active Socket: Connection refused" },
    { address: "192.168.10.8", type: "node specific", state: "up", since: "12:01:07", info: "Established" },
  ]);
  expect(peersOf("0001 x\n1002-Mesh_fd00__1 BGP master up 12:01 Established\n0000\n", 6)[0]!.address).toBe("fd00::1");
  expect(() => peersOf("2002-name colour\n", 4)).toThrow("unknown BIRD table output format");
  expect(() => peersOf("9001 no such command\n", 4)).toThrow("unexpected output line from BIRD");
});

let bird: Server | undefined;
let directory: string | undefined;
afterEach(() => {
  bird?.close();
  if (directory) rmSync(directory, { recursive: true });
  bird = directory = undefined;
});

/** A control socket that answers `show protocols` with these chunks. */
async function speak(chunks: readonly string[]): Promise<string> {
  directory = mkdtempSync(join(tmpdir(), "tortie-bird-"));
  const path = join(directory, "bird.ctl");
  bird = createServer((socket) => {
    socket.on("error", () => {});
    socket.once("data", (asked) => {
      if (asked.toString() !== "show protocols\n") return socket.destroy();
      for (const c of chunks) socket.write(c);
      return undefined;
    });
  });
  await new Promise<void>((resolve) => bird!.listen(path, resolve));
  return path;
}

test("askBird() over a socket, the answer in pieces", async () => {
  const path = await speak([ANSWER.slice(0, 40), ANSWER.slice(40)]);
  expect(await askBird(path, 4)).toEqual(peersOf(ANSWER, 4));
});
test("askBird() of a socket that is not there, and of something else", async () => {
  await expect(askBird("/nonexistent/bird.ctl", 4)).rejects.toThrow("/nonexistent/bird.ctl: there is no such socket");
  await expect(askBird(await speak(["9001 what?\n0000 \n"]), 4)).rejects.toThrow("unexpected output line from BIRD");
});

test("nodeStatus()", async () => {
  await expect(nodeStatus({ agent: false, bird: true, bird6: true })).rejects.toThrow(/^Calico process is not running\.$/);
  expect(await nodeStatus({ agent: true, bird: false, bird6: false })).toBe(
    "Calico process is running.\n\nThe BGP backend process (BIRD) is not running.\n\n",
  );
  expect(await nodeStatus({ agent: true, bird: true, bird6: false }, async () => peersOf(ANSWER, 4).slice(0, 1))).toBe(`Calico process is running.

IPv4 BGP status
+--------------+-------------------+-------+----------+-------------+
| PEER ADDRESS |     PEER TYPE     | STATE |  SINCE   |    INFO     |
+--------------+-------------------+-------+----------+-------------+
| 192.168.10.2 | node-to-node mesh | up    | 12:01:02 | Established |
+--------------+-------------------+-------+----------+-------------+

INFO: BIRDv6 process: 'bird6' is not running.

`);
  const text = await nodeStatus({ agent: true, bird: true, bird6: true }, async () => []);
  expect(text).toContain("\nIPv4 BGP status\nNo IPv4 peers found.\n\nIPv6 BGP status\nNo IPv6 peers found.\n");
});
