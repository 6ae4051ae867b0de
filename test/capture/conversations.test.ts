// Conversations beside those that tshark counts. What is inside of a tunnel stands among the others there, so sums are compared.
import { execFileSync } from "node:child_process";
import { expect, test } from "vitest";
import { formatEndpoint, formatIp } from "../../src/base/ip.ts";
import { type Conversation, type ConversationEnd, Conversations } from "../../src/capture/conversations.ts";
import { bytesOf, follow, open, textOf } from "../../src/capture/fixtures.cases.ts";
import { readCapture } from "../../src/capture/reader.ts";
import { describeWith, find } from "../peers.ts";

const path = (name: string): string => new URL(`../captures/${name}`, import.meta.url).pathname;

function ours(name: string, keys?: string): Conversation[] {
  const all = new Conversations();
  for (const t of follow(open(name), keys === undefined ? "" : textOf(keys)).packets) all.add(t);
  return all.list();
}
const ends = (c: Conversation): [string, number][] =>
  c.ends.map((e: ConversationEnd) => [e.port === undefined ? formatIp(e.ip) : formatEndpoint(e.ip, e.port), e.packets]);

test("one session, its ping inside", () => {
  const [ip, udp, inside] = ours("wggo-psk-v4.pcap", "wggo-psk-v4.initiator.keys");
  const packets = readCapture(bytesOf("wggo-psk-v4.pcap")).packets;
  expect([ip!.protocol, udp!.protocol, inside!.protocol, inside!.inside]).toEqual(["ip", "udp", "ip", true]);
  expect(udp!.ends[0].packets + udp!.ends[1].packets).toBe(packets.length);
  expect(udp!.ends[0].bytes + udp!.ends[1].bytes).toBe(packets.reduce((n, p) => n + p.originalLength, 0));
  expect(inside!.ends.map((e) => [formatIp(e.ip), e.packets])).toEqual([
    ["10.78.0.1", 10],
    ["10.78.0.2", 10],
  ]);
  expect([udp!.first, udp!.last]).toEqual([packets[0]!.time, packets.at(-1)!.time]);
});

describeWith(["tshark"], "beside tshark", () => {
  /** "END PACKETS END PACKETS" of each, in order; lower end first. */
  function theirs(name: string, keys?: string): string[] {
    const tables = ["ip", "ipv6", "tcp", "udp"].flatMap((kind) => ["-z", `conv,${kind}`]);
    const args = ["-r", path(name), "-q", ...tables, ...(keys === undefined ? [] : ["-o", `wg.keylog_file:${path(keys)}`])];
    const out = execFileSync(find("tshark")!, args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
    return [...out.matchAll(/^(\S+)\s+<->\s+(\S+)\s+(\d+) .*?(?:bytes|kB|MB)\s+(\d+) /gm)].map(([, a, b, fromB, fromA]) =>
      line([
        [a!, Number(fromA)],
        [b!, Number(fromB)],
      ]),
    );
  }
  const line = (both: readonly (readonly [string, number])[]): string => [...both].sort(([a], [b]) => (a < b ? -1 : 1)).join(" ");
  const summed = (all: readonly Conversation[]): string[] => {
    const sums = new Map<string, Map<string, number>>();
    for (const c of all) {
      const both = ends(c);
      const id = both
        .map(([e]) => e)
        .sort()
        .join(" ");
      const sum = sums.get(id) ?? sums.set(id, new Map()).get(id)!;
      for (const [e, n] of both) sum.set(e, (sum.get(e) ?? 0) + n);
    }
    return [...sums.values()].map((m) => line([...m]));
  };

  test.for([
    { name: "wggo-psk-v4.pcap", keys: "wggo-psk-v4.initiator.keys" },
    { name: "wggo-psk-v4.pcap", keys: undefined },
    { name: "leak-nodeA-rich.pcapng", keys: undefined },
    { name: "leak-nodeA-rich.pcapng", keys: "leak.nodeA.keys" },
  ])("$name $keys", ({ name, keys }) => {
    const mine = (["ip", "tcp", "udp"] as const).flatMap((kind) => summed(ours(name, keys).filter((c) => c.protocol === kind)));
    expect(mine.length).toBeGreaterThan(1);
    expect(mine.sort()).toEqual(theirs(name, keys).sort());
  });
});
