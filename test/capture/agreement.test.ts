// What opens with which keys: our own expectation, from first principles or measured, and tshark's answer to the same file and the same keys. Where we
// open more, the table says so: two columns.
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { toBase64 } from "../../src/base/bytes.ts";
import { Dissector } from "../../src/capture/dissect.ts";
import { follow, keyIn, list, open, textOf } from "../../src/capture/fixtures.cases.ts";
import { A, B, data, handshake, log, NO_PSK, pair, ping, Scene } from "../../src/capture/made.cases.ts";
import type { CaptureFile } from "../../src/capture/reader.ts";
import { PcapWriter } from "../../src/capture/writer.ts";
import { describeWith, find } from "../peers.ts";

const captures = new URL("../captures/", import.meta.url).pathname;
let directory: string;
beforeAll(() => (directory = mkdtempSync(join(tmpdir(), "tortie-agreement-"))));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** One line a frame that `only` lets through, its fields separated by tabs. */
function tshark(path: string, keyLog: string | undefined, fields: readonly string[], only?: string): string[] {
  const keys = join(directory, "keys");
  if (keyLog !== undefined) writeFileSync(keys, keyLog, { mode: 0o600 });
  const args = ["-r", path, ...(keyLog === undefined ? [] : ["-o", `wg.keylog_file:${keys}`]), ...(only ? ["-Y", only] : [])];
  const out = execFileSync(find("tshark")!, [...args, "-T", "fields", ...fields.flatMap((f) => ["-e", f])], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"],
    maxBuffer: 64 << 20,
  });
  return out.split("\n").slice(0, -1);
}
const INNER = "icmp or icmpv6 or tcp";
const innerOf = (file: CaptureFile, keyLog: string): number =>
  follow(file, keyLog).packets.filter((t) => t.messages.some((m) => m.opened && m.opened.length > 0)).length;

// Section 1.3: every set of the four private keys, with and without a pre-shared key in use, and the right, a wrong or no one at hand. Each case has
// peers of its own, all in one capture with one key log.
describe("the matrix of secrets", () => {
  const PSK = pair(9000).private;
  const cases = Array.from({ length: 16 }, (_, n) => ({ si: (n & 1) > 0, sr: (n & 2) > 0, ei: (n & 4) > 0, er: (n & 8) > 0 })).flatMap((s) =>
    [true, false].flatMap((used) => (["right", "wrong", "none"] as const).map((given) => ({ ...s, used, given }))),
  );
  const scene = new Scene();
  let keys = "";
  const expected = cases.map((c, i) => {
    const s = handshake(5000 + i, { initiator: pair(10_000 + 2 * i), responder: pair(10_001 + 2 * i), psk: c.used ? PSK : NO_PSK });
    const from = { ...A, port: 20_000 + i };
    scene.add(i, from, B, s.initiation).add(i + 0.001, B, from, s.response);
    scene.add(i + 0.002, from, B, data(s, "toResponder", 0, ping(i))).add(i + 0.003, B, from, data(s, "toInitiator", 0, ping(i)));
    const psk = c.given === "none" ? "" : log.psk(c.given === "right" ? s.psk : pair(9001).private);
    keys += log.public(s.initiator) + log.public(s.responder);
    keys += (c.si ? log.private(s.initiator) : "") + (c.sr ? log.private(s.responder) : "");
    keys += (c.ei ? log.ephemeral(s.initiatorEphemeral) + psk : "") + (c.er ? log.ephemeral(s.responderEphemeral) + psk : "");
    // es, ss, ee, se: who can compute which.
    const identity = c.sr || c.ei;
    const timestamp = identity && (c.si || c.sr);
    const all = timestamp && (c.ei || c.er) && (c.si || c.er) && (!c.used || c.given === "right");
    return { ...c, who: identity ? toBase64(s.initiator.public) : "", timestamp, all };
  });
  const file: CaptureFile = { ...open("wggo-psk-v4.pcap"), packets: scene.packets, interfaces: [], secrets: [], secretsAfter: [] };
  const title = (e: (typeof expected)[number]): string => JSON.stringify({ ...e, who: e.who !== "" });

  test("as the four Diffie-Hellman values say", () => {
    const { tracker } = follow(file, keys);
    expect(expected.length).toBe(96);
    expected.forEach((e, i) => {
      const s = tracker.sessions[i]!;
      const opened = s.counts.toResponder.decrypted + s.counts.toInitiator.decrypted;
      const got = [
        s.begun?.initiatorStatic ? toBase64(s.begun.initiatorStatic) : "",
        s.begun?.timestamp !== undefined,
        s.answered?.kind === "open",
        opened,
      ];
      expect([title(e), ...got]).toEqual([title(e), e.who, e.timestamp, e.all, e.all ? 2 : 0]);
    });
  });
  describeWith(["tshark"], "beside tshark", () => {
    test("the same of each", () => {
      const path = join(directory, "matrix.pcap");
      const parts: Uint8Array[] = [];
      const writer = new PcapWriter((b) => void parts.push(b.slice()), { link: 101 });
      for (const p of scene.packets) writer.packet(0, { time: p.time!, data: p.data });
      writeFileSync(path, Buffer.concat(parts));
      const lines = tshark(path, keys, ["wg.static", "wg.timestamp.nanoseconds", "wg.handshake_ok", "icmp.type"]).map((l) => l.split("\t"));
      expect(lines.length).toBe(4 * expected.length);
      expected.forEach((e, i) => {
        const [one, two, three, four] = lines.slice(4 * i, 4 * i + 4);
        const got = [one![0], one![1] !== "", two![2] === "1", three![3] === "8" && four![3] === "8"];
        expect([title(e), ...got]).toEqual([title(e), e.who, e.timestamp, e.all, e.all]);
      });
    });
  });
});

// Section 2.9.
const a = textOf("wggo-psk-v4.initiator.keys");
const b = textOf("wggo-psk-v4.responder.keys");
const line = (name: string, value: string): string => `${name} = ${value}\n`;
const own = (text: string): string => line("LOCAL_STATIC_PRIVATE_KEY", keyIn(text, "LOCAL_STATIC_PRIVATE_KEY"));
const peer = (text: string): string => line("REMOTE_STATIC_PUBLIC_KEY", keyIn(text, "REMOTE_STATIC_PUBLIC_KEY"));
const ephemeral = (text: string): string => line("LOCAL_EPHEMERAL_PRIVATE_KEY", keyIn(text, "LOCAL_EPHEMERAL_PRIVATE_KEY"));
const psk = line("PRESHARED_KEY", keyIn(a, "PRESHARED_KEY"));

describeWith(["tshark"], "what a key log holds, beside tshark", () => {
  test.for<[string, string, theirs: number, ours: number, file?: string]>([
    ["nothing", "", 0, 0],
    ["static of the initiator", own(a), 0, 0],
    ["static of the responder", own(b), 0, 0],
    ["both statics", own(a) + own(b), 0, 0],
    ["both statics and the pre-shared key", own(a) + own(b) + psk, 0, 0],
    ["both publics", peer(a) + peer(b), 0, 0],
    ["initiator without the peer's public key", own(a) + ephemeral(a) + psk, 0, 0],
    ["initiator without the pre-shared key", own(a) + ephemeral(a) + peer(a), 0, 0],
    ["initiator, all", a, 22, 22],
    // We try what Wireshark drops.
    ["the pre-shared key before the ephemeral", own(a) + peer(a) + psk + ephemeral(a), 0, 22],
    ["responder, all", b, 22, 22],
    ["responder without any public key", own(b) + ephemeral(b) + psk, 22, 22],
    ["both ephemerals", peer(a) + ephemeral(a) + psk + ephemeral(b) + psk, 0, 0],
    ["static of one side, ephemeral of the other", own(b) + ephemeral(a) + psk, 0, 0],
    ["and the other way round", own(a) + ephemeral(b) + peer(a) + peer(b) + psk, 0, 0],
    ["an ephemeral key given as a static one", own(a) + line("LOCAL_STATIC_PRIVATE_KEY", keyIn(a, "LOCAL_EPHEMERAL_PRIVATE_KEY")), 0, 0],
    ["initiator, all; the handshake is not in the capture", a, 0, 0, "wggo-psk-v4-midsession.pcap"],
    ["session keys; the handshake is not in the capture", textOf("wggo-psk-v4.session.keys"), 0, 22, "wggo-psk-v4-midsession.pcap"],
    ["initiator, all; cut at 96 bytes", a, 0, 0, "wggo-psk-v4-snap96.pcap"],
    ["session keys; cut at 96 bytes", textOf("wggo-psk-v4.session.keys"), 0, 22, "wggo-psk-v4-snap96.pcap"],
    ["session keys; cut at 128 bytes", textOf("wggo-psk-v4.session.keys"), 0, 22, "wggo-psk-v4-snap128.pcap"],
  ])("%s", ([, keyLog, theirs, ours, name = "wggo-psk-v4.pcap"]) => {
    const path = `${captures}${name}`;
    expect(tshark(path, keyLog, ["frame.number"], INNER).length).toBe(theirs);
    expect(innerOf(open(name), keyLog)).toBe(ours);
    const FIELDS = ["wg.static", "wg.timestamp.nanoseconds", "wg.receiver_pubkey"];
    // tshark shows fields of a handshake that was cut in another way.
    if (name !== "wggo-psk-v4.pcap") return;
    const { packets, secrets } = follow(open(name), keyLog);
    const dissector = new Dissector({ secrets });
    expect(packets.slice(0, 2).map((t) => FIELDS.map((f) => dissector.add(t).texts(f).join(",")).join("\t"))).toEqual(
      tshark(path, keyLog, FIELDS, "wg.type < 3"),
    );
  });
});

// Section 2.10: Wireshark reads a key block only where it stands before the handshake, and only lines that are written its way.
describeWith(["tshark"], "where key blocks stand, beside tshark", () => {
  const BLIND = new Set(["dsb_after1", "dsb_after2", "dsb_end", "dsb_tab", "dsb_trail", "dsb_lower"]);
  test.for(list("dsb-placement/"))("%s", (name) => {
    const path = `dsb-placement/${name}`;
    expect(tshark(`${captures}${path}`, undefined, ["frame.number"], INNER).length).toBe(BLIND.has(name.replace(".pcapng", "")) ? 0 : 22);
    expect(innerOf(open(path), "")).toBe(22);
  });
});
