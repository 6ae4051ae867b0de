// Every kind of traffic that netns.sh sends through a tunnel: flood pings, TCP, UDP as fast as it goes, parallel flows; both families, both ways. Only
// that data flows is judged here: figures are the benchmark's.
import { expect } from "vitest";
import { eventually, type Host } from "../device/host.ts";
import { answers } from "../device/tunnel.ts";

/** Flood pings as netns.sh sends them: all are answered. */
export const flood = (from: Host, to: string, count = 10): void => answers({ host: from }, to, count, "-f", "-i", "0", "-W", "5");

type Report = { readonly end: { readonly sum_received?: { readonly bytes: number }; readonly sum?: { readonly bytes: number } } };

/** One second of iperf3 to a server of one connection; the bytes that arrived. */
async function iperf(client: Host, server: Host, address: string, ...words: string[]): Promise<number> {
  const serving = server.spawn(["iperf3", "-s", "-1", "-B", address]);
  await eventually(() => {
    if (server.run("ss", "-Htln", "sport = :5201") === "") throw new Error(`iperf3 does not listen: ${serving.output()}`);
  });
  const report = JSON.parse(await client.runAsync("iperf3", "-J", "-Z", "-t", "1", "-c", address, ...words)) as Report;
  await serving.exit;
  return (report.end.sum_received ?? report.end.sum)!.bytes;
}

export async function everyKindOfTraffic(n1: Host, n2: Host): Promise<void> {
  const [v4, v6] = [(n: 1 | 2): string => `192.168.241.${n}`, (n: 1 | 2): string => `fd00::${n}`];
  for (const to of [v4, v6]) {
    flood(n2, to(1));
    flood(n1, to(2));
  }
  const received = {
    "TCP over IPv4": await iperf(n1, n2, v4(2)),
    "TCP over IPv6": await iperf(n2, n1, v6(1)),
    "UDP over IPv4": await iperf(n2, n1, v4(1), "-u", "-b", "0"),
    "UDP over IPv6": await iperf(n1, n2, v6(2), "-u", "-b", "0"),
    "4 TCP flows": await iperf(n1, n2, v4(2), "-P", "4"),
    "50 TCP flows": await iperf(n1, n2, v4(2), "-P", "50"),
  };
  for (const [what, bytes] of Object.entries(received)) expect(bytes, what).toBeGreaterThan(100_000);
}
