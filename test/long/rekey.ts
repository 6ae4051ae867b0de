// A session is replaced after 120 s without losing a packet, with each of the devices that people run.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { find } from "../peers.ts";
import { type End, IF, inner, tunnel } from "../device/tunnel.ts";
import { WG } from "../device/tunnel.ts";
import type { Scenario } from "./main.ts";

const SECONDS = 140;

/** Pings at 10/s for SECONDS in the background; how many were lost. */
async function pingLong(from: End, to: string): Promise<number> {
  const count = SECONDS * 10;
  const child = spawn("nsenter", [
    "-t",
    String(from.host.pid),
    "-n",
    "-m",
    "--",
    "ping",
    "-n",
    "-q",
    "-i",
    "0.1",
    "-c",
    String(count),
    "-W",
    "2",
    to,
  ]);
  let text = "";
  child.stdout.on("data", (d: Buffer) => (text += d.toString()));
  await once(child, "exit");
  const m = / ([0-9]+) received/.exec(text);
  if (!m) throw new Error(`ping said: ${text}`);
  return count - Number(m[1]);
}

async function pair(first: string, second: string): Promise<string> {
  const t = await tunnel({ programs: [first, second], psk: true });
  try {
    t.configure();
    const lost = await pingLong(t.a, inner(2, 4));
    const since = Date.now() / 1000 - Number(t.a.host.run(WG, "show", IF, "latest-handshakes").trim().split("\t")[1]);
    const names = [first, second].map((p) => p.split("/").slice(-3).join("/")).join(" to ");
    if (lost > 0) throw new Error(`${names}: ${lost} pings lost`);
    if (since > 60) throw new Error(`${names}: the last handshake is ${since.toFixed(0)} s old, there was no second one`);
    return names;
  } finally {
    await t.close();
  }
}

export const rekey: Scenario = {
  name: "a new session after 120 s, 10 pings/s, none lost",
  minutes: 3,
  async run() {
    const peers = [find("wireguard-go"), find("wireguard-go", { debian: true })].filter((p): p is string => p !== undefined);
    const pairs: [string, string][] = [
      ["tortie", "tortie"],
      ...[...new Set(peers)].flatMap((p): [string, string][] => [
        ["tortie", p],
        [p, "tortie"],
      ]),
    ];
    return (await Promise.all(pairs.map(([a, b]) => pair(a, b)))).join("; ");
  },
};
