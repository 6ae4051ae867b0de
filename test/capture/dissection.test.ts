// Our dissection beside tshark's: trees, JSON, fields, info texts and display filters over every capture at hand. Differences: differences.ts.
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { basename } from "node:path";
import { afterAll, expect, test } from "vitest";
import { Analysis } from "../../src/capture/analysis.ts";
import { type Dissection, Dissector } from "../../src/capture/dissect.ts";
import { FILTERS } from "../../src/capture/display/filters.cases.ts";
import { displayFilter } from "../../src/capture/display/index.ts";
import { parseKeyLog } from "../../src/capture/keylog.ts";
import { type Json, packetJson } from "../../src/capture/json.ts";
import { CaptureReader } from "../../src/capture/reader.ts";
import { linesOf } from "../../src/capture/summary.ts";
import { treeLines } from "../../src/capture/tree.ts";
import { nodeCrypto } from "../../src/crypto/node.ts";
import { describeWith, find } from "../peers.ts";
import { isDifferentField, isDifferentLine } from "./differences.ts";
import { rewrapped } from "./rewrapped.ts";
import { sharedPath } from "./shared.ts";

const ours = (name: string): string => new URL(`../captures/${name}`, import.meta.url).pathname;
const wrapped = rewrapped(ours("wggo-psk-v4.pcap"));
afterAll(() => rmSync(wrapped.directory, { recursive: true }));
const CAPTURES: readonly [file: string, keys: string | undefined][] = (
  [
    [ours("wggo-psk-v4.pcap"), undefined],
    [ours("wggo-psk-v4.pcap"), ours("wggo-psk-v4.initiator.keys")],
    [ours("wggo-psk-v4.pcap"), ours("wggo-psk-v4.responder.keys")],
    [ours("wggo-psk-v4-midsession.pcap"), undefined],
    [ours("wggo-psk-v4-snap128.pcap"), undefined],
    [ours("wggo-rekey-any-sll2.pcap"), undefined],
    [ours("leak-nodeA.pcap"), undefined],
    [ours("leak-nodeA.pcap"), ours("leak.nodeA.keys")],
    [ours("leak-nodeA-rich.pcapng"), undefined],
    [ours("leak-anyA-sll1.pcap"), undefined],
    [ours("leak-wgA-raw-nano.pcap"), undefined],
    [ours("dsb-placement/dsb_start.pcapng"), undefined],
    ...wrapped.files.map((file) => [file, ours("wggo-psk-v4.initiator.keys")]),
    [sharedPath("wireguard-ping-tcp.pcap"), undefined],
    [sharedPath("wireguard-ping-tcp.pcap"), sharedPath("wireguard-ping-tcp.initiator.keys")],
    [sharedPath("wireguard-ping-tcp-dsb.pcapng"), undefined],
    [sharedPath("wireguard-psk.pcap"), sharedPath("wireguard-psk.responder.keys")],
    ...["vxlan.pcap", "geneve.pcap", "gso-ipv4-vxlan-ipv6.pcap", "02-sunrise-sunset-esp.pcap"].map((f) => [
      sharedPath(`tcpdump-tests/tests/${f}`),
      undefined,
    ]),
  ] as [string, string | undefined][]
).filter(([file]) => existsSync(file));

const tshark = (...args: string[]): string =>
  execFileSync(find("tshark")!, args, {
    encoding: "utf8",
    env: { ...process.env, TZ: "UTC" },
    stdio: ["ignore", "pipe", "ignore"],
    maxBuffer: 1 << 28,
  });
const withKeys = (file: string, keys: string | undefined): string[] => ["-r", file, ...(keys === undefined ? [] : ["-o", `wg.keylog_file:${keys}`])];

/** All packets of a file, dissected; each is looked at while its bytes are there. */
function dissect<T>(file: string, keys: string | undefined, of: (d: Dissection) => T): T[] {
  const reader = new CaptureReader();
  const events = [...reader.push(new Uint8Array(readFileSync(file))), ...reader.end()];
  const analysis = new Analysis({ crypto: nodeCrypto, logs: keys === undefined ? [] : [parseKeyLog(readFileSync(keys, "utf8"))] });
  analysis.learn(events);
  const dissector = new Dissector({ secrets: analysis.secrets, flows: true, pcapng: analysis.facts.format === "pcapng" });
  const found: T[] = [];
  analysis.open(events, (t) => {
    const d = dissector.add(t);
    dissector.show(d);
    found.push(of(d));
  });
  return found;
}

/** Without what differs with a reason. Lists of one are their element: tshark makes a list only of several. */
function common(value: Json): Json {
  if (Array.isArray(value)) return value.map(common);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([name]) => !isDifferentField(name))
      .map(([name, v]) => [name, common(v)]),
  );
}
/** Without the trees of protocols that are none of ours. */
function withoutForeign(lines: readonly string[]): string[] {
  let isForeign = false;
  return lines.filter((l) => {
    if (/^[A-Z[]/.test(l)) isForeign = FOREIGN.test(l);
    return !isForeign;
  });
}
const FOREIGN = /^(Hypertext|Domain Name|Transport Layer Security|Line-based|Data \(|SSH Protocol)/;
type Document = { _source: { layers: Json } };

describeWith(["tshark"], "as tshark dissects", () => {
  for (const [file, keys] of CAPTURES) {
    const title = `${basename(file)}${keys === undefined ? "" : ` with ${basename(keys)}`}`;
    test(`${title}: fields and values (JSON)`, () => {
      const theirs = JSON.parse(tshark(...withKeys(file, keys), "-T", "json", "--no-duplicate-keys")) as Document[];
      const mine = dissect(file, keys, (d) => packetJson(d) as unknown as Document);
      expect(mine.length).toBe(theirs.length);
      for (const [i, t] of theirs.entries()) expect([i + 1, common(mine[i]!._source.layers)]).toEqual([i + 1, common(t._source.layers)]);
    });
    test(`${title}: trees`, () => {
      // Between the lines of a tree tshark prints the bytes of "data".
      const theirs = withoutForeign(tshark(...withKeys(file, keys), "-V").split("\n")).filter(
        (l) => l !== "" && !/^[0-9a-f]{4}  /.test(l) && !isDifferentLine(l),
      );
      const mine = dissect(file, keys, (d) => treeLines(d.tree()))
        .flat()
        .filter((l) => !isDifferentLine(l));
      const at = mine.findIndex((l, i) => l !== theirs[i]);
      expect(mine.slice(Math.max(0, at - 2), at + 8)).toEqual(theirs.slice(Math.max(0, at - 2), at + 8));
      expect(mine.length).toBe(theirs.length);
    });
    test(`${title}: source, destination, protocol, info`, () => {
      const columns = ["frame.number", "_ws.col.Source", "_ws.col.Destination", "_ws.col.Protocol", "_ws.col.Info"];
      const theirs = tshark(...withKeys(file, keys), "-T", "fields", ...columns.flatMap((c) => ["-e", c]))
        .split("\n")
        .slice(0, -1);
      const mine = dissect(file, keys, (d) => {
        const { outer, inner } = linesOf(d.tracked, d);
        const s = inner[0] ?? outer;
        return [d.tracked.packet.number, s.src, s.dst, s.protocol, s.info].join("\t");
      });
      const known = (line: string): boolean =>
        /^\d+\t[^\t]*\t[^\t]*\t(WireGuard|TCP|UDP|ICMP|ICMPv6|ARP|ESP|IPv4|IPv6)\t(?!\[TCP )/.test(line) &&
        !/\[Malformed|\[Packet size|Unreassembled/.test(line) &&
        !/\t[A-Z][A-Za-z]+_[0-9a-f:]+\t/.test(line);
      // Of a cut message tshark tells the captured length, ours is the length on the wire.
      const lengths = (l: string): string => (file.includes("snap") ? l.replace(/datalen=\d+/, "") : l);
      const pairs = theirs.map((t, i) => [lengths(t), lengths(mine[i]!)] as const).filter(([t]) => known(t));
      expect(pairs.map(([, m]) => m)).toEqual(pairs.map(([t]) => t));
    });
  }

  // What the trees leave out everywhere, because it may differ, where it must not: tshark reads twice as well.
  const SESSIONS = ["wg.stream", "wg.response_in", "wg.response_to", "wg.receiver_pubkey"];
  test.for([
    ["wggo-psk-v4.pcap", [...SESSIONS, "frame.protocols"]],
    ["wggo-psk-v4-midsession.pcap", [...SESSIONS, "frame.protocols"]],
    // Messages that ICMP errors quote have streams of their own in tshark.
    ["wggo-rekey-any-sll2.pcap", [...SESSIONS.slice(1), "frame.protocols"]],
    ["leak-nodeA.pcap", SESSIONS],
    ["leak-nodeA-rich.pcapng", SESSIONS],
    ["leak-anyA-sll1.pcap", SESSIONS],
    ["leak-wgA-raw-nano.pcap", SESSIONS],
  ] as const)("%s: what sessions tell of packets", ([name, fields]) => {
    const theirs = tshark("-2", "-r", ours(name), "-T", "fields", ...fields.flatMap((f) => ["-e", f])).split("\n");
    const mine = dissect(ours(name), undefined, (d) => fields.map((f) => d.texts(f).join(",")).join("\t"));
    expect(mine).toEqual(theirs.slice(0, -1));
  });

  test.for(FILTERS)("%s", ([filter]) => {
    const file = ours("leak-nodeA-rich.pcapng");
    const { test: fits } = displayFilter(filter);
    const mine = dissect(file, undefined, (d) => (fits(d) ? [d.tracked.packet.number] : [])).flat();
    expect(mine.join("\n")).toBe(tshark("-r", file, "-Y", filter, "-T", "fields", "-e", "frame.number").trim());
  });
});
