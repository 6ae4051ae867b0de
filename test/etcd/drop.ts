// Packets to and from a port of this machine vanish, as with a machine that has lost its power or its cable: nobody says that a connection has ended.
import { spawn } from "node:child_process";
import { find } from "../peers.ts";

/** The result lets them through again. The rule belongs to a process that ends with this one, and goes with it. */
export async function drop(port: number): Promise<() => Promise<void>> {
  const child = spawn(find("nft")!, ["-i"], { stdio: ["pipe", "pipe", "pipe"] });
  let said = "";
  for (const out of [child.stdout, child.stderr]) out.on("data", (d: Buffer) => (said += d.toString()));
  const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
  const table = `inet tortie-test-${port}`;
  child.stdin.write(`add table ${table} { flags owner; }
add chain ${table} in { type filter hook input priority 0; }
add rule ${table} in tcp dport ${port} drop
add rule ${table} in tcp sport ${port} drop
list table ${table}
`);
  const lifted = (): Promise<void> => {
    child.stdin.end();
    return ended;
  };
  for (const end = performance.now() + 10_000; !said.includes(`sport ${port} drop\n`);) {
    if (performance.now() > end || child.exitCode !== null) {
      await lifted();
      throw new Error(`nft does not drop packets: ${said}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return lifted;
}
