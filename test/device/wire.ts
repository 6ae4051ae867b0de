// What goes over the wire between two hosts: every WireGuard message, in both directions.
import { readFileSync } from "node:fs";
import { parseMessage, readCapture, splitSegments, type WireGuardMessage } from "../../src/capture/index.ts";
import { decode } from "../../src/packet/index.ts";
import { find } from "../peers.ts";
import { eventually, type Host } from "./host.ts";
import { rootOf } from "../../src/sys/ns.ts";

/** `at`: milliseconds since 1970. `port`: UDP port of the sender. */
export type OnWire = { readonly at: number; readonly from: string; readonly message: WireGuardMessage };

/** Watches a link of the host until the answer is called. Throws when the capture itself missed something. */
export async function watchWire(host: Host, link: string): Promise<() => Promise<OnWire[]>> {
  const file = "/run/wire.pcap";
  const tcpdump = host.spawn([find("tcpdump")!, "-i", link, "-n", "-s", "0", "-B", "65536", "--immediate-mode", "-U", "-w", file, "udp port 51820"]);
  await eventually(() => {
    if (!tcpdump.output().includes("listening on")) throw new Error(`tcpdump does not listen: ${tcpdump.output()}`);
  });
  return async () => {
    tcpdump.child.kill("SIGINT");
    await tcpdump.exit;
    if (!tcpdump.output().includes("\n0 packets dropped by kernel")) throw new Error(`the capture has holes: ${tcpdump.output()}`);
    return messages(readFileSync(rootOf(host.pid) + file));
  };
}

function messages(bytes: Uint8Array): OnWire[] {
  return readCapture(bytes).packets.flatMap(({ data, iface, time }) => {
    const layers = decode(data, iface.link);
    const [ip, udp] = [layers.find((l) => l.kind === "ipv4" || l.kind === "ipv6"), layers.find((l) => l.kind === "udp")];
    if (!ip || !udp) return [];
    const payload = data.subarray(udp.at + udp.length, udp.end);
    return splitSegments(payload).flatMap((part) => {
      const message = parseMessage(part);
      return message ? [{ at: Number(time! / 1000n) / 1000, from: ip.src.join("."), message }] : [];
    });
  });
}

/** Data messages under a nonce that was used before: by the same sender, for the same receiver index. */
export function repeatedNonces(wire: readonly OnWire[]): string[] {
  const seen = new Set<string>();
  return wire.flatMap(({ from, message }) => {
    if (message.type !== 4) return [];
    const nonce = `${from} ${message.receiver} ${message.counter}`;
    if (seen.has(nonce)) return [nonce];
    seen.add(nonce);
    return [];
  });
}
