// Other people's captures: the ten WireGuard cases of Wireshark's test suite, the pcapng test generator, tcpdump's tests with its crash inputs.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { fromBase64 } from "../../src/base/bytes.ts";
import { Dissector } from "../../src/capture/dissect.ts";
import { type KeyLog, keyLogOf, parseKeyLog } from "../../src/capture/keylog.ts";
import { CaptureReader, collect, readCapture } from "../../src/capture/reader.ts";
import { Secrets } from "../../src/capture/secrets.ts";
import { linesOf } from "../../src/capture/summary.ts";
import { Tracker } from "../../src/capture/tracker.ts";
import { nodeCrypto } from "../../src/crypto/node.ts";
import { describeWith, find } from "../peers.ts";
import { describeShared, shared, sharedPath } from "./shared.ts";

const KEYS = {
  Spriv_i: "AKeZaHwBxjiKLFnkY2unvEdOTtg4AL+M9dQXfopFVFk=",
  Spriv_i_alt: "B6eZaHwBxjiKLFnkY2unvEdOTtg4AL+M9dQXfopFVJk=",
  Spub_i: "Igge9KzRytKNwrgkzDE/8hrLu6Ly0OqVdvOPWhA5KR4=",
  Spriv_r: "cFIxTUyBs1Qil414hBwEgvasEax8CKJ5IS5ZougplWs=",
  Spub_r: "YDCttCs9e1J52/g9vEnwJJa+2x6RqaayAYMpSVQfGEY=",
  Epriv_i0: "sLGLJSOQfyz7JNJ5ZDzFf3Uz1rkiCMMjbWerNYcPFFU=",
  Epriv_i0_alt: "t7GLJSOQfyz7JNJ5ZDzFf3Uz1rkiCMMjbWerNYcPFJU=",
  Epriv_r0: "QC4/FZKhFf0b/eXEcCecmZNt6V6PXmRa4EWG1PIYTU4=",
  Epriv_i1: "ULv83D+y3vA0t2mgmTmWz++lpVsrP7i4wNaUEK2oX0E=",
  Epriv_r1: "sBv1dhsm63cbvWMv/XML+bvynBp9PTdY9Vvptu3HQlg=",
  Epriv_i2: "iCv2VTi/BC/q0egU931KXrrQ4TSwXaezMgrhh7uCbXs=",
  Epriv_r2: "8G1N3LnEqYC7+NW/b6mqceVUIGBMAZSm+IpwG1U0j0w=",
  psk2: "//////////////////////////////////////////8=",
  Epriv_i3: "+MHo9sfkjPsjCx7lbVhRLDvMxYvTirOQFDSdzAW6kUQ=",
  Epriv_r3: "0G6t5j1B/We65MXVEBIGuRGYadwB2ITdvJovtAuATmc=",
  psk3: "iIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIg=",
  dummy: `${"x".repeat(43)}=`,
} as const;
type Key = keyof typeof KEYS;
const remote = (k: Key): string => `REMOTE_STATIC_PUBLIC_KEY = ${KEYS[k]}\n`;
const local = (k: Key): string => `LOCAL_STATIC_PRIVATE_KEY = ${KEYS[k]}\n`;
const ephemeral = (k: Key): string => `  LOCAL_EPHEMERAL_PRIVATE_KEY = ${KEYS[k]}\n`;
const psk = (k: Key): string => `  PRESHARED_KEY=${KEYS[k]}\n`;

type Fields = { frame(n: number): (field: string) => string; having(field: string): number[] };
/** Fields of a frame of a capture, with these keys. */
const fields = (name: string, log: string, publicKeys: Key[] = []): Fields => fieldsOf(name, [parseKeyLog(log)], publicKeys);
function fieldsOf(name: string, logs: readonly KeyLog[], publicKeys: Key[] = []): Fields {
  const file = readCapture(shared(name));
  const secrets = new Secrets(nodeCrypto);
  const own = keyLogOf(file.secrets);
  if (own) secrets.add(own);
  for (const log of logs) secrets.add(log);
  for (const k of publicKeys) secrets.addPublic(fromBase64(KEYS[k])!);
  const tracker = new Tracker(nodeCrypto, secrets);
  const packets = file.packets.map((p) => tracker.add(p));
  const dissector = new Dissector({ secrets });
  const dissected = packets.map((p) => dissector.add(p));
  const value = (n: number, field: string): string => dissected[n - 1]!.texts(field).join();
  return {
    frame: (n) => (field) => value(n, field),
    having: (field) => packets.map((p) => p.packet.number).filter((n) => value(n, field) !== ""),
  };
}

/** tshark's lines for these frames, with a key log, and static keys from its preferences: "Public" or "Private" of each. */
function theirs(
  name: string,
  log: string,
  names: readonly string[],
  frames: readonly number[],
  uat: readonly (readonly [string, Key])[] = [],
): string[] {
  const directory = mkdtempSync(join(tmpdir(), "tortie-others-"));
  try {
    writeFileSync(join(directory, "keys"), log, { mode: 0o600 });
    const keys = uat.flatMap(([kind, k]) => ["-o", `uat:wg_keys:"${kind}","${KEYS[k]}"`]);
    const args = ["-r", sharedPath(name), "-o", `wg.keylog_file:${join(directory, "keys")}`, ...keys, "-T", "fields"];
    const out = execFileSync(find("tshark")!, [...args, ...names.flatMap((f) => ["-e", f])], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    });
    const lines = out.split("\n");
    return frames.map((n) => lines[n - 1]!);
  } finally {
    rmSync(directory, { recursive: true });
  }
}
const FIELDS = [
  "wg.receiver_pubkey",
  "wg.receiver_pubkey.known_privkey",
  "wg.static",
  "wg.static.known_pubkey",
  "wg.static.known_privkey",
  "wg.timestamp.nanoseconds",
  "wg.ephemeral.known_privkey",
  "wg.handshake_ok",
  "icmp.type",
  "tcp.dstport",
];

describeShared("the WireGuard cases of Wireshark's test suite", () => {
  const file = "wireguard-ping-tcp.pcap";
  test.for([
    ["public", "", "0"],
    ["private", local("Spriv_i") + local("Spriv_r"), "1"],
  ] as const)("mac1 with %s keys", ([, log, known]) => {
    const f = fields(file, log, ["Spub_i", "Spub_r"]);
    expect(f.having("wg.receiver_pubkey")).toEqual([1, 2, 13, 14]);
    expect([1, 2, 13, 14].map((n) => f.frame(n)("wg.receiver_pubkey"))).toEqual([KEYS.Spub_r, KEYS.Spub_i, KEYS.Spub_r, KEYS.Spub_i]);
    for (const n of [1, 2, 13, 14]) expect(f.frame(n)("wg.receiver_pubkey.known_privkey")).toBe(known);
  });
  test("initiations with the responder's static key", () => {
    const f = fields(file, local("Spriv_r"));
    for (const [n, ns] of [
      [1, "356537872"],
      [13, "490514356"],
    ] as const) {
      const v = f.frame(n);
      expect([v("wg.static"), v("wg.static.known_pubkey"), v("wg.static.known_privkey"), v("wg.timestamp.nanoseconds")]).toEqual([
        KEYS.Spub_i,
        "0",
        "0",
        ns,
      ]);
    }
  });
  test("ephemerals only", () => {
    const f = fields(file, ephemeral("Epriv_i0") + ephemeral("Epriv_i1"), ["Spub_r"]);
    for (const n of [1, 13]) {
      const v = f.frame(n);
      expect([v("wg.ephemeral.known_privkey"), v("wg.static"), v("wg.timestamp.nanoseconds")]).toEqual(["1", KEYS.Spub_i, ""]);
    }
  });
  describeWith(["tshark"], "beside tshark", () => {
    // The inner packet of frame 22 is a first fragment: tshark leaves its TCP header alone, here it is read.
    const frames = Array.from({ length: 21 }, (_, i) => i + 1);
    // tshark's preferences hold static keys only: private ones are lines of our log.
    test.for<[string, string, string, [string, Key][], Key[], string?]>([
      [
        "1: mac1, public",
        file,
        "",
        [
          ["Public", "Spub_i"],
          ["Public", "Spub_r"],
        ],
        ["Spub_i", "Spub_r"],
      ],
      [
        "2: mac1, private",
        file,
        local("Spriv_i") + local("Spriv_r"),
        [
          ["Private", "Spriv_i"],
          ["Private", "Spriv_r"],
        ],
        [],
      ],
      ["3: initiations, responder's static key", file, local("Spriv_r"), [["Private", "Spriv_r"]], []],
      ["4: ephemerals only", file, ephemeral("Epriv_i0") + ephemeral("Epriv_i1"), [["Public", "Spub_r"]], ["Spub_r"]],
      ["5: all of the initiator", file, remote("Spub_r") + local("Spriv_i_alt") + ephemeral("Epriv_i0_alt") + ephemeral("Epriv_i1"), [], []],
      ["6: embedded", "wireguard-ping-tcp-dsb.pcapng", "", [], []],
      ["7: all of the responder", file, remote("Spub_i") + local("Spriv_r") + ephemeral("Epriv_r0") + ephemeral("Epriv_r1"), [], []],
    ])("%s", ([, name, log, uat, publicKeys]) => {
      const f = fields(name, log, publicKeys);
      // What the preferences hold, tshark's log need not.
      const theirLog = uat.length > 0 ? log.replace(/^LOCAL_STATIC.*\n/gm, "") : log;
      expect(frames.map((n) => FIELDS.map((x) => f.frame(n)(x)).join("\t"))).toEqual(theirs(name, theirLog, FIELDS, frames, uat));
    });
  });
  const initiator = remote("Spub_r") + local("Spriv_i_alt") + ephemeral("Epriv_i0_alt") + ephemeral("Epriv_i1");
  const responder = remote("Spub_i") + local("Spriv_r") + ephemeral("Epriv_r0") + ephemeral("Epriv_r1");
  test.for([
    ["of the initiator", file, initiator, ["1", "0"]],
    ["embedded", "wireguard-ping-tcp-dsb.pcapng", "", ["1", "0"]],
    ["of the responder", file, responder, ["0", "1"]],
  ] as const)("the full log %s", ([, name, log, [first, second]]) => {
    const f = fields(name, log);
    expect(f.frame(1)("wg.ephemeral.known_privkey")).toBe(first);
    expect(f.frame(2)("wg.ephemeral.known_privkey")).toBe(second);
    expect([f.frame(1)("wg.static"), f.frame(1)("wg.timestamp.nanoseconds")]).toEqual([KEYS.Spub_i, "356537872"]);
    expect([f.frame(13)("wg.static"), f.frame(13)("wg.timestamp.nanoseconds")]).toEqual([KEYS.Spub_i, "490514356"]);
    expect([2, 14].map((n) => f.frame(n)("wg.handshake_ok"))).toEqual(["1", "1"]);
    expect([3, 4].map((n) => f.frame(n)("icmp.type"))).toEqual(["8", "0"]);
    expect([17, 18].map((n) => f.frame(n)("tcp.dstport"))).toEqual(["443", "49472"]);
  });
  test.for([
    ["initiator", remote("Spub_r") + local("Spriv_i") + ephemeral("Epriv_i2") + psk("psk2") + ephemeral("Epriv_r3") + psk("psk3"), true],
    [
      "responder",
      remote("Spub_i") +
        local("Spriv_r") +
        ephemeral("Epriv_r2") +
        psk("dummy") +
        ephemeral("Epriv_r2") +
        psk("psk2") +
        ephemeral("Epriv_i3") +
        psk("psk3") +
        ephemeral("Epriv_i3") +
        psk("dummy"),
      true,
    ],
    // Wireshark drops a second pre-shared key in a row. Here it is tried all the same, so the second handshake opens, and the log is reported as odd.
    [
      "responder, keys in the wrong order",
      remote("Spub_i") + local("Spriv_r") + ephemeral("Epriv_r2") + ephemeral("Epriv_i3") + psk("psk2") + psk("psk3"),
      false,
    ],
  ] as const)("pre-shared keys: %s", ([, log, inOrder]) => {
    const f = fields("wireguard-psk.pcap", log);
    const ok = (secretsOfLog: KeyLog): string[] => {
      const g = fieldsOf("wireguard-psk.pcap", [secretsOfLog]);
      return [2, 4].map((n) => g.frame(n)("wg.handshake_ok"));
    };
    if (inOrder) expect([2, 4].map((n) => f.frame(n)("wg.handshake_ok"))).toEqual(["1", "1"]);
    else {
      const read = parseKeyLog(log);
      expect(read.problems.map((p) => p.why).join()).toMatch(/Wireshark drops it/);
      expect(ok(read)).toEqual(["0", "1"]);
      // As Wireshark has it.
      expect(ok({ ...read, loosePresharedKeys: [] })).toEqual(["0", "0"]);
    }
    if (find("tshark")) expect(theirs("wireguard-psk.pcap", log, ["wg.handshake_ok"], [2, 4])).toEqual(inOrder ? ["1", "1"] : ["0", "0"]);
  });
  test("everything that the full log opens", () => {
    const packets = readCapture(shared(file)).packets;
    const secrets = new Secrets(nodeCrypto);
    secrets.add(parseKeyLog(initiator));
    const tracker = new Tracker(nodeCrypto, secrets);
    const inner = packets.map((p) => linesOf(tracker.add(p)).inner[0]);
    expect(inner.map((l) => l?.protocol ?? "-").join(" ")).toBe("- - ICMP ICMP ICMP ICMP ICMP ICMP - UDP UDP UDP - - UDP - TCP TCP TCP TCP TCP IPv4");
    expect(inner[2]).toMatchObject({ src: "10.10.0.2", dst: "10.10.0.1" });
    expect(inner[21]!.info).toMatch(/off=0/);
  });
});

describeShared("the pcapng test generator", () => {
  // Packets of the little-endian set; the big-endian set has the same.
  const COUNTS: Record<string, number> = {
    test001: 4,
    test002: 0,
    test003: 0,
    test004: 4,
    test005: 4,
    test006: 5,
    test007: 1,
    test008: 4,
    test009: 2,
    test010: 4,
    test011: 4,
    test012: 4,
    test013: 0,
    test014: 0,
    test015: 0,
    test016: 4,
    test017: 0,
    test018: 4,
    test100: 5,
    test101: 4,
    test102: 5,
    test200: 0,
    test201: 4,
    test202: 8,
  };
  test.for(["output_le", "output_be"])("%s", (set) => {
    const root = sharedPath(`pcapng-test-generator/${set}`);
    const found = readdirSync(root, { recursive: true, encoding: "utf8" }).filter((f) => f.endsWith(".pcapng"));
    expect(found.length).toBe(24);
    for (const name of found) {
      const f = readCapture(shared(`pcapng-test-generator/${set}/${name}`));
      expect([name, f.packets.length, f.damage]).toEqual([name, COUNTS[name.replace(/.*\/|\.pcapng$/g, "")], []]);
    }
  });
});

describeShared("tcpdump's tests, with its crash inputs", () => {
  test("are read, dissected and summed up without a word of an exception", () => {
    const root = sharedPath("tcpdump-tests/tests");
    const secrets = new Secrets(nodeCrypto);
    let packets = 0;
    for (const name of readdirSync(root).filter((f) => /\.pcap(ng)?$/.test(f))) {
      const bytes = shared(join("tcpdump-tests/tests", name));
      const reader = new CaptureReader({ salvage: true });
      const events = [];
      for (let at = 0; at < bytes.length; at += 997) events.push(...reader.push(bytes.subarray(at, at + 997)));
      const file = collect([...events, ...reader.end()]);
      const tracker = new Tracker(nodeCrypto, secrets);
      const dissector = new Dissector({ secrets, flows: true, names: file.names });
      for (const p of file.packets) {
        const t = tracker.add(p);
        const d = dissector.add(t);
        linesOf(t, d);
        d.tree();
        packets++;
      }
    }
    expect(packets).toBeGreaterThan(1000);
  });
});
