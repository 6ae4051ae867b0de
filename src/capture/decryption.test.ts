// What opens a capture and what does not: the matrix of secrets, the tables of key logs and of key blocks (sections 1.3, 2.9, 2.10), and what other
// readers cannot do: cut packets, sessions without a handshake, super-datagrams, fragments, cookies.
import { describe, expect, test } from "vitest";
import { concat, fromBase64, toBase64, toHex } from "../base/bytes.ts";
import { parseIp } from "../base/ip.ts";
import { nobleCrypto } from "../crypto/noble.ts";
import { nodeCrypto } from "../crypto/node.ts";
import { ethernet, ipv4, udp } from "../packet/build.ts";
import { examine } from "./doctor.ts";
import { follow, keyIn, list, open, rewrite, textOf, writeInner } from "./fixtures.cases.ts";
import { parseKeyLog } from "./keylog.ts";
import { parseMessage, splitSegments } from "./message.ts";
import type { CapturedPacket } from "./packet.ts";
import { readCapture, type CaptureFile } from "./reader.ts";
import { replayInitiation, replayResponse } from "./replay.ts";
import { keyLogFor } from "./embed.ts";
import { Secrets } from "./secrets.ts";
import { splitFrame } from "./split.ts";
import { Tracker } from "./tracker.ts";

const a = textOf("wggo-psk-v4.initiator.keys");
const b = textOf("wggo-psk-v4.responder.keys");
const si = keyIn(a, "LOCAL_STATIC_PRIVATE_KEY");
const sr = keyIn(b, "LOCAL_STATIC_PRIVATE_KEY");
const ei = keyIn(a, "LOCAL_EPHEMERAL_PRIVATE_KEY");
const er = keyIn(b, "LOCAL_EPHEMERAL_PRIVATE_KEY");
const psk = keyIn(a, "PRESHARED_KEY");
const pi = keyIn(b, "REMOTE_STATIC_PUBLIC_KEY");
const pr = keyIn(a, "REMOTE_STATIC_PUBLIC_KEY");
const staticKey = (k: string): string => `LOCAL_STATIC_PRIVATE_KEY = ${k}\n`;
const publicKey = (k: string): string => `REMOTE_STATIC_PUBLIC_KEY = ${k}\n`;
const ephemeral = (k: string): string => `LOCAL_EPHEMERAL_PRIVATE_KEY = ${k}\n`;
const preshared = (k: string): string => `PRESHARED_KEY = ${k}\n`;

const capture = open("wggo-psk-v4.pcap");
const opened = (file: CaptureFile, ...logs: string[]): number =>
  follow(file, ...logs).tracker.sessions.reduce((n, s) => n + s.counts.toResponder.decrypted + s.counts.toInitiator.decrypted, 0);

describe("matrix of secrets", () => {
  // Identity, timestamp, message 2 and payload from first principles: who can compute which Diffie-Hellman value.
  const sets = Array.from({ length: 16 }, (_, n) => ({ si: (n & 1) > 0, sr: (n & 2) > 0, ei: (n & 4) > 0, er: (n & 8) > 0 }));
  const cases = sets.flatMap((s) => [true, false].map((withPsk) => ({ ...s, withPsk })));
  test.for(cases)("si $si sr $sr ei $ei er $er psk $withPsk", (s) => {
    const ss = s.si || s.sr;
    const identity = s.sr || s.ei;
    const timestamp = identity && ss;
    const ee = s.ei || s.er;
    const se = s.si || s.er;
    const payload = timestamp && ee && se && s.withPsk;
    const log = parseKeyLog(
      publicKey(pi) +
        publicKey(pr) +
        (s.si ? staticKey(si) : "") +
        (s.sr ? staticKey(sr) : "") +
        (s.ei ? ephemeral(ei) + (s.withPsk ? preshared(psk) : "") : "") +
        (s.er ? ephemeral(er) + (s.withPsk ? preshared(psk) : "") : ""),
    );
    for (const crypto of [nodeCrypto, nobleCrypto]) {
      const secrets = new Secrets(crypto);
      secrets.add(log);
      const [one, two] = capture.packets.slice(0, 2).map((p) => parseMessage(p.data.subarray(42))!);
      if (one?.type !== 1 || two?.type !== 2) throw new Error("not the handshake");
      const begun = replayInitiation(crypto, one, secrets, secrets.addressee(one));
      expect(begun?.initiatorStatic && toBase64(begun.initiatorStatic)).toBe(identity ? pi : undefined);
      expect(begun?.timestamp !== undefined).toBe(timestamp);
      const answered = begun && replayResponse(crypto, one, begun, two, secrets);
      expect(answered?.kind === "open").toBe(payload);
    }
    expect(
      opened(
        capture,
        ...log.staticPublic.map((k) => publicKey(toBase64(k))),
        s.si ? staticKey(si) : "",
        s.sr ? staticKey(sr) : "",
        s.ei ? ephemeral(ei) + (s.withPsk ? preshared(psk) : "") : "",
        s.er ? ephemeral(er) + (s.withPsk ? preshared(psk) : "") : "",
      ),
    ).toBe(payload ? 22 : 0);
  });
  test("the two minimal sets are exactly the ones that open", () => {
    const winning = sets.filter((s) => (s.si && s.ei) || (s.sr && s.er)).length;
    expect(winning).toBe(7);
  });
});

describe("what a key log must hold", () => {
  test.for<[string, string[], number, string | undefined]>([
    ["nothing", [], 0, "D4"],
    ["the initiator's static key", [staticKey(si)], 0, "D4"],
    ["the responder's static key", [staticKey(sr)], 0, "D5"],
    ["both static keys", [staticKey(si), staticKey(sr), preshared(psk)], 0, "D5"],
    ["both public keys", [publicKey(pi), publicKey(pr)], 0, "D5"],
    ["initiator without the peer's public key", [staticKey(si), ephemeral(ei), preshared(psk)], 0, "D4"],
    ["initiator without the pre-shared key", [staticKey(si), publicKey(pr), ephemeral(ei)], 0, "D7"],
    ["initiator, all", [a], 22, undefined],
    ["responder, all", [b], 22, undefined],
    ["responder, no public key at all", [staticKey(sr), ephemeral(er), preshared(psk)], 22, undefined],
    ["both ephemerals", [publicKey(pr), ephemeral(ei), preshared(psk), ephemeral(er), preshared(psk)], 0, "D6"],
    ["responder's static key, initiator's ephemeral", [staticKey(sr), ephemeral(ei), preshared(psk)], 0, "D6"],
    ["initiator's static key, responder's ephemeral", [staticKey(si), publicKey(pr), ephemeral(er), preshared(psk)], 0, "D6"],
    ["a wrong pre-shared key", [staticKey(si), publicKey(pr), ephemeral(ei), preshared(si)], 0, "D7"],
    // Where Wireshark gives up: a pre-shared key that stands before its ephemeral.
    ["the pre-shared key first", [staticKey(si), publicKey(pr), preshared(psk), ephemeral(ei)], 22, undefined],
  ])("%s", ([, logs, packets, code]) => {
    const { tracker, secrets } = follow(capture, ...logs);
    expect(opened(capture, ...logs)).toBe(packets);
    expect(examine(tracker.sessions[0]!, secrets).diagnosis?.code).toBe(code);
  });

  test("a static key alone: who spoke, when, and why no more", () => {
    const { tracker, secrets } = follow(capture, sr);
    const report = examine(tracker.sessions[0]!, secrets);
    const said = report.opened.join("\n");
    expect(said).toContain(pi);
    expect(said).toContain("2026-11-23T07:15:50.956301312Z");
    expect(report.diagnosis!.why).toMatch(/forward secrecy/);
    expect(report.diagnosis!.needs).toMatch(/--keys/);
  });
  test.for(["initiator", "responder"] as const)("the public ephemeral of the %s, given as private, is recognised", (side) => {
    const at = side === "initiator" ? 0 : 1;
    const message = parseMessage(capture.packets[at]!.data.subarray(42))!;
    if (message.type !== 1 && message.type !== 2) throw new Error("not the handshake");
    for (const log of [staticKey(sr) + ephemeral(toBase64(message.ephemeral)), `${sr}\n${toBase64(message.ephemeral)}\n`]) {
      const { tracker, secrets } = follow(capture, log);
      const { warnings } = examine(tracker.sessions[0]!, secrets);
      expect(warnings.join()).toMatch(new RegExp(`public half of the ${side}'s ephemeral key: packet ${at + 1}`));
    }
  });
  test("no sentence holds a private key", () => {
    for (const logs of [[a], [sr], [staticKey(si), ephemeral(er)], [a, b]]) {
      const { tracker, secrets } = follow(capture, ...logs);
      const said = JSON.stringify(tracker.sessions.map((s) => examine(s, secrets)).map((r) => [r.opened, r.diagnosis, r.warnings]));
      for (const k of [si, sr, ei, er, psk]) expect(said).not.toContain(k);
    }
  });
});

test("every key block opens the file, wherever it stands and however it is written", () => {
  for (const name of list("dsb-placement/")) expect([name, opened(open(`dsb-placement/${name}`))]).toEqual([name, 22]);
});

describe("what other readers cannot do", () => {
  test("session keys open a session whose handshake is missing", () => {
    const file = open("wggo-psk-v4-midsession.pcap");
    expect(opened(file, a)).toBe(0);
    expect(opened(file, textOf("wggo-psk-v4.session.keys"))).toBe(22);
    const { tracker, secrets } = follow(file, a);
    expect(tracker.sessions.length).toBe(1);
    expect(examine(tracker.sessions[0]!, secrets).diagnosis!.code).toBe("D1");
  });
  test.for([
    ["wggo-psk-v4-snap96.pcap", 38],
    ["wggo-psk-v4-snap128.pcap", 70],
  ] as const)("the beginning of cut packets opens: %s", ([name, bytes]) => {
    const file = open(name);
    const { tracker, packets, secrets } = follow(file, textOf("wggo-psk-v4.session.keys"));
    const inner = packets.flatMap((t) => t.messages).filter((m) => m.opened && m.opened.bytes.length > 0);
    expect(inner.length).toBe(22);
    expect(Math.max(...inner.map((m) => m.opened!.bytes.length))).toBe(bytes);
    expect(inner.every((m) => !m.opened!.authenticated)).toBe(true);
    const { toResponder, toInitiator } = tracker.sessions[0]!.counts;
    expect([toResponder.decrypted + toInitiator.decrypted, toResponder.unauthenticated + toInitiator.unauthenticated]).toEqual([0, 22]);
    const whole = follow(capture, a)
      .packets.flatMap((t) => t.messages)
      .filter((m) => m.opened && m.opened.bytes.length > 0);
    inner.forEach((m, i) => expect(toHex(whole[i]!.opened!.bytes).startsWith(toHex(m.opened!.bytes))).toBe(true));
    expect(secrets.hasSessionKeys).toBe(true);
    const { tracker: without, secrets: full } = follow(file, a);
    expect(examine(without.sessions[0]!, full).diagnosis!.code).toBe("D3");
  });
  test("a super-datagram is its messages", () => {
    const file = open("gso-superdatagram.pcap");
    const sizes = splitSegments(file.packets[0]!.data.subarray(42)).map((p) => p.length);
    expect(sizes).toEqual([1452, 1452, 1452, 1452, 1452, 200]);
    const frames = splitFrame(file.packets[0]!.data, 1)!;
    expect(frames.map((f) => f.length - 42)).toEqual(sizes);
  });
  test("messages that were sealed for the network card to cut open all the same", () => {
    const three = [3, 5, 7].map((n) => capture.packets[n - 1]!.data.subarray(42));
    const file = withPackets([...capture.packets.slice(0, 2), frame(concat(...three), capture.packets[2]!)]);
    const { packets, tracker } = follow(file, a);
    expect(packets[2]!.messages.map((m) => m.opened?.bytes.length)).toEqual([84, 84, 84]);
    expect(tracker.sessions[0]!.counts.toResponder.decrypted).toBe(3);
    // Written again, it is three packets that every reader opens.
    const parts: Uint8Array[] = [];
    rewrite(file, keyLogFor(tracker.sessions, follow(file, a).secrets).text, (x) => parts.push(x));
    const again = readCapture(concat(...parts));
    expect(again.packets.length).toBe(5);
    expect(opened(again)).toBe(3);
  });
  test("a packet in fragments opens when all of them are there", () => {
    const packet = capture.packets[8]!;
    const ip = packet.data.subarray(14);
    const payload = ip.subarray(20);
    const fields = { src: parseIp("10.77.0.1")!, dst: parseIp("10.77.0.2")!, protocol: 17, id: 77 };
    const pieces = [
      ipv4({ ...fields, moreFragments: true }, payload.subarray(0, 800)),
      ipv4({ ...fields, fragmentOffset: 800 }, payload.subarray(800)),
    ].map((p) => ({ ...packet, data: ethernet(new Uint8Array(6), new Uint8Array(6), 0x0800, p) }));
    expect(opened(withPackets([...capture.packets.slice(0, 2), ...pieces]), a)).toBe(1);
    expect(opened(withPackets([...capture.packets.slice(0, 2), ...pieces.toReversed()]), a)).toBe(1);
    expect(opened(withPackets([...capture.packets.slice(0, 2), pieces[0]!]), a)).toBe(0);
  });
  test("addresses need not match: both vantage points of a NAT", () => {
    const moved = capture.packets.map((p, i) => (i % 3 === 0 ? p : readdressed(p)));
    expect(opened(withPackets(moved), a)).toBe(22);
  });
  test("data before its handshake in the file opens at the end", () => {
    expect(opened(withPackets([...capture.packets.slice(2), ...capture.packets.slice(0, 2)]), a)).toBe(22);
  });
  test("the same packets seen on two interfaces are one session", () => {
    const twice = capture.packets.flatMap((p) => [p, p]);
    const { tracker } = follow(withPackets(twice), a);
    expect(tracker.sessions.length).toBe(1);
    const { toResponder, toInitiator } = tracker.sessions[0]!.counts;
    expect([toResponder.duplicates, toInitiator.duplicates]).toEqual([12, 11]);
  });
  test("a cookie reply opens with a public key only, and mac2 is checked with it", () => {
    const one = new Uint8Array(capture.packets[0]!.data.subarray(42));
    const cookie = new Uint8Array(16).fill(9);
    const nonce = new Uint8Array(24).fill(5);
    const cookieKey = nodeCrypto.hash(new TextEncoder().encode("cookie--"), fromBase64(pr)!);
    const reply = concat(Uint8Array.of(3, 0, 0, 0), one.subarray(4, 8), nonce, nodeCrypto.xseal(cookieKey, nonce, cookie, one.subarray(116, 132)));
    const retry = new Uint8Array(one);
    retry.set(nodeCrypto.mac(cookie, retry.subarray(0, 132)), 132);
    retry[4] = 1;
    const fresh = new Uint8Array(retry);
    fresh.set(nodeCrypto.mac(cookie, fresh.subarray(0, 132)), 132);
    const file = withPackets([capture.packets[0]!, back(reply, capture.packets[1]!), frame(fresh, capture.packets[0]!)]);
    const { tracker, packets } = follow(file, publicKey(pr));
    expect(toHex(tracker.sessions[0]!.cookie!)).toBe("09".repeat(16));
    expect(packets[2]!.messages[0]!.mac2Ok).toBe(true);
    expect(examine(tracker.sessions[0]!, follow(file, publicKey(pr)).secrets).diagnosis!.why).toMatch(/cookie/);
  });
  test("inner packets are written without a key in the file", () => {
    const { packets } = follow(capture, a);
    const parts: Uint8Array[] = [];
    expect(writeInner(packets, (x) => parts.push(x))).toBe(22);
    const file = readCapture(concat(...parts));
    expect(file.packets.length).toBe(22);
    expect(file.secrets).toEqual([]);
    expect(file.packets.map((p) => p.originalLength).slice(0, 7)).toEqual([84, 84, 84, 84, 84, 84, 1420]);
  });
});

test("inner padding is told apart by the inner packet's own length", () => {
  const { packets } = follow(capture, a);
  const of = (n: number): [number, number] => {
    const m = packets[n - 1]!.messages[0]!;
    return [m.message.length - 32, m.opened!.bytes.length];
  };
  expect([of(3), of(15), of(20), of(18)]).toEqual([
    [96, 84],
    [64, 60],
    [80, 76],
    [112, 104],
  ]);
});

test("data that was changed is reported, and only that (D9)", () => {
  const packets = capture.packets.map((p) => (p.number === 9 ? { ...p, data: p.data.map((x, i) => (i === 300 ? x ^ 1 : x)) } : p));
  const { tracker, secrets } = follow(withPackets(packets), a);
  const s = tracker.sessions[0]!;
  expect([s.counts.toResponder.decrypted, s.counts.toResponder.failed]).toEqual([10, 1]);
  expect(examine(s, secrets).diagnosis!.code).toBe("D9");
});

test("a capture without an end forgets its oldest sessions, and opens the newest", () => {
  const secrets = new Secrets(nodeCrypto);
  secrets.add(parseKeyLog(a));
  const tracker = new Tracker(nodeCrypto, secrets, { live: true });
  const initiation = capture.packets[0]!;
  for (let i = 0; i < 5000; i++) {
    const data = new Uint8Array(initiation.data);
    new DataView(data.buffer).setUint32(42 + 4, i, true);
    new DataView(data.buffer).setUint32(42 + 8, i, true);
    tracker.add({ ...initiation, number: i + 1, data });
  }
  expect(tracker.sessions.length).toBe(4096);
  const inner = capture.packets.flatMap((p) => tracker.add(p).messages).filter((m) => m.opened && m.opened.bytes.length > 0);
  expect(inner.length).toBe(22);
  expect(tracker.sessions.at(-1)!.number).toBe(5000);
});

test("hostile packets throw nothing", () => {
  const secrets = new Secrets(nodeCrypto);
  secrets.add(parseKeyLog(a));
  let seed = 7;
  const random = (n: number): number => (seed = (seed * 1_103_515_245 + 12_345) & 0x7fffffff) % n;
  const tracker = new Tracker(nodeCrypto, secrets);
  for (let i = 0; i < 4000; i++) {
    const p = capture.packets[random(capture.packets.length)]!;
    const data = new Uint8Array(p.data.subarray(0, random(8) === 0 ? random(p.data.length) : p.data.length));
    for (let k = random(4); k > 0 && data.length > 0; k--) data[random(data.length)] = random(256);
    tracker.add({ ...p, number: i + 1, data, originalLength: Math.max(data.length, p.originalLength) });
  }
  for (const s of tracker.sessions) examine(s, secrets);
  expect(tracker.sessions.length).toBeGreaterThan(0);
});

function withPackets(packets: readonly CapturedPacket[]): CaptureFile {
  return { ...capture, packets: packets.map((p, i) => ({ ...p, number: i + 1 })) };
}
/** A frame from the initiator with this payload. */
function frame(payload: Uint8Array, like: CapturedPacket): CapturedPacket {
  return built(payload, like, "10.77.0.1", "10.77.0.2");
}
function back(payload: Uint8Array, like: CapturedPacket): CapturedPacket {
  return built(payload, like, "10.77.0.2", "10.77.0.1");
}
function built(payload: Uint8Array, like: CapturedPacket, from: string, to: string): CapturedPacket {
  const [src, dst] = [parseIp(from)!, parseIp(to)!];
  const data = ethernet(new Uint8Array(6), new Uint8Array(6), 0x0800, ipv4({ src, dst, protocol: 17 }, udp(src, dst, 51_820, 51_820, payload)));
  return { ...like, data, originalLength: data.length };
}
/** The same message from and to other addresses. */
function readdressed(p: CapturedPacket): CapturedPacket {
  return built(p.data.subarray(42), p, "192.0.2.1", "198.51.100.7");
}
