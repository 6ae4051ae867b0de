// Beside the real readers: the same fields, the same frames for the same display filters, and what we write opens in them.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { concat, toHex } from "../../src/base/bytes.ts";
import { keyLogFor } from "../../src/capture/embed.ts";
import { bytesOf, follow, open, rewrite, textOf, writeInner } from "../../src/capture/fixtures.cases.ts";
import { PcapngWriter, PcapWriter } from "../../src/capture/writer.ts";
import { ethernet, icmp, ipv4 } from "../../src/packet/build.ts";
import { describeWith, find } from "../peers.ts";

const captures = new URL("../captures/", import.meta.url).pathname;
let directory: string;
beforeAll(() => (directory = mkdtempSync(join(tmpdir(), "tortie-tshark-"))));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const tshark = (...args: string[]): string[] =>
  execFileSync(find("tshark")!, args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"], maxBuffer: 64 << 20 })
    .split("\n")
    .slice(0, -1);
const tcpdump = (...args: string[]): string[] =>
  execFileSync(find("tcpdump")!, args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] })
    .split("\n")
    .filter((l) => /^[0-9]/.test(l));
const written = (name: string, write: (sink: (b: Uint8Array) => void) => void): string => {
  const parts: Uint8Array[] = [];
  write((b) => parts.push(b));
  const path = join(directory, name);
  writeFileSync(path, concat(...parts));
  return path;
};

describeWith(["tshark", "tcpdump"], "what we write, others read", () => {
  test("a capture with its keys in front opens decrypted, with no set-up", () => {
    const file = open("wggo-psk-v4.pcap");
    for (const side of ["initiator", "responder"]) {
      const { tracker, secrets } = follow(file, textOf(`wggo-psk-v4.${side}.keys`));
      const path = written(`${side}.pcapng`, (sink) => rewrite(file, keyLogFor(tracker.sessions, secrets).text, sink));
      expect(tshark("-r", path, "-Y", "icmp or icmpv6 or tcp").length).toBe(22);
      expect(tcpdump("-n", "-r", path).length).toBe(25);
      // Without the block nothing opens, and not a byte of it is left.
      const plain = written(`${side}-plain.pcapng`, (sink) => rewrite(open("wggo-psk-v4.pcap"), "", sink));
      expect(tshark("-r", plain, "-Y", "icmp or icmpv6 or tcp").length).toBe(0);
      expect(toHex(readFileSync(plain))).not.toContain("4c4b4757");
    }
  });
  test("inner packets", () => {
    const { packets } = follow(open("wggo-psk-v4.pcap"), textOf("wggo-psk-v4.initiator.keys"));
    const path = written("inner.pcapng", (sink) => void writeInner(packets, sink));
    expect(tshark("-r", path, "-Y", "icmp or icmpv6 or tcp").length).toBe(22);
    expect(tcpdump("-n", "-r", path).length).toBe(22);
  });
  test("names, comments, counters and directions", () => {
    const rich = open("leak-nodeA-rich.pcapng");
    const { tracker, secrets } = follow(rich);
    const path = written("rich.pcapng", (sink) => rewrite(rich, keyLogFor(tracker.sessions, secrets).text, sink));
    expect(tshark("-r", path, "-Y", "frame.comment", "-T", "fields", "-e", "frame.number", "-e", "frame.comment")).toEqual([
      "10\tLEAK pod-to-pod plaintext cause=TUNNEL_NOT_UP",
    ]);
    expect(tshark("-r", path, "-Nn", "-Y", "frame.number == 10").join()).toMatch(/client\.default → server\.default/);
    const before = tshark(
      "-r",
      `${captures}leak-nodeA-rich.pcapng`,
      "-T",
      "fields",
      "-e",
      "frame.time_epoch",
      "-e",
      "frame.p2p_dir",
      "-e",
      "frame.len",
    );
    expect(tshark("-r", path, "-T", "fields", "-e", "frame.time_epoch", "-e", "frame.p2p_dir", "-e", "frame.len")).toEqual(before);
  });
  const ip = new Uint8Array([192, 0, 2, 1]);
  const packet = ipv4({ src: ip, dst: ip, protocol: 1 }, icmp(ip, ip, { type: 8, rest: 1 }, new Uint8Array(33)));
  const frame = ethernet(new Uint8Array(6), new Uint8Array(6), 0x0800, packet);
  const cooked = concat(new Uint8Array([8, 0, 0, 0, 0, 0, 0, 2, 0, 1, 4, 6, 0, 0, 0, 0, 0, 0, 0, 0]), packet);
  test.for<[string, number, Uint8Array]>([
    ["Ethernet", 1, frame],
    ["raw IP", 101, packet],
    ["LINUX_SLL2", 276, cooked],
  ])("pcap and pcapng of %s, micro- and nanoseconds", ([, link, data]) => {
    const time = 1_795_418_953_123_456_789n;
    for (const [name, write, digits] of [
      ["us.pcap", (s) => new PcapWriter(s, { link }).packet(0, { time, data }), "123456"],
      ["ns.pcap", (s) => new PcapWriter(s, { link, nanoseconds: true }).packet(0, { time, data }), "123456789"],
      [
        "ns.pcapng",
        (s) => {
          const w = new PcapngWriter(s);
          w.packet(w.addInterface({ link, name: "x" }), { time, data });
        },
        "123456789",
      ],
    ] as [string, (s: (b: Uint8Array) => void) => void, string][]) {
      const path = written(name, write);
      expect(tshark("-r", path, "-T", "fields", "-e", "frame.time_epoch", "-e", "icmp.type")).toEqual([`1795418953.${digits.padEnd(9, "0")}\t8`]);
      expect(tcpdump("-n", "-tt", "--time-stamp-precision=nano", "-r", path).join()).toMatch(
        new RegExp(`^1795418953\\.${digits}0* .*ICMP echo request`),
      );
    }
  });
  test("damaged files are taken as far as tshark takes them", () => {
    for (const name of ["trunc_data.pcap", "n_tail_mismatch.pcapng", "n_trunc_mid.pcapng", "n_badif.pcapng", "cap_gt_len.pcap"]) {
      let lines: string[];
      try {
        lines = tshark("-r", `${captures}malformed/${name}`);
      } catch (e) {
        lines = String((e as { stdout: string }).stdout)
          .split("\n")
          .slice(0, -1);
      }
      expect([name, open(`malformed/${name}`).packets.length]).toEqual([name, lines.length]);
    }
    expect(bytesOf("malformed/ok.pcap").length).toBeGreaterThan(0);
  });
});
