// A capture of any size to measure readers with: real handshakes and data messages between two made-up peers, renewed now and then, and their key log.
import { closeSync, openSync, writeFileSync, writeSync } from "node:fs";
import { A, B, BEGAN, handshake, log, type Made, ping, Scene } from "../src/capture/made.cases.ts";
import { PcapngWriter, PcapWriter } from "../src/capture/writer.ts";
import { opensslPackets } from "../src/crypto/packets.ts";
import { parseIp } from "../src/base/ip.ts";
import { arp, ethernet, icmp, ipv4, ipv6, tcp, udp, vxlan } from "../src/packet/build.ts";
import { ETHERTYPE_ARP, ETHERTYPE_IPV4, ETHERTYPE_IPV6, LINK_ETHERNET, LINK_RAW } from "../src/packet/link.ts";
import { DATA_HEADER, TAG_LENGTH, writeU32 } from "../src/wireguard/messages.ts";
import type { Way } from "../src/capture/session.ts";

/** Packets of a session: two minutes of some 4 Mbit/s. */
const RENEWED_AFTER = 50_000;

/** Writes `packets` data messages with inner packets of `length` bytes to `path`, and the initiator's key log to `path`.keys. */
export function makeCapture(path: string, packets: number, length: number): void {
  const file = openSync(path, "w", 0o600);
  const pieces: Uint8Array[] = [];
  let held = 0;
  const flush = (): void => {
    for (const p of pieces) writeSync(file, p);
    pieces.length = held = 0;
  };
  const writer = new PcapWriter(
    (bytes) => {
      pieces.push(bytes.slice());
      if ((held += bytes.length) > 1 << 20) flush();
    },
    { link: LINK_RAW },
  );
  const padded = (length + 15) & ~15;
  const memory = new Uint8Array(4096 + padded);
  const crypto = opensslPackets(memory.buffer);
  const [keyAt, headerAt, textAt] = [0, 128 + 48, 128 + 64];
  const inner = ping(1, length);
  /** The frame's headers are the same for all messages of a way. */
  const frames = { toResponder: frameOf(A, B, DATA_HEADER + padded + TAG_LENGTH), toInitiator: frameOf(B, A, DATA_HEADER + padded + TAG_LENGTH) };
  const keys: string[] = [];
  let s: Made | undefined;
  const counters = { toResponder: 0, toInitiator: 0 };
  for (let i = 0; i < packets; i++) {
    const at = (i * 120) / RENEWED_AFTER;
    const time = BigInt(BEGAN) * 1_000_000n + BigInt(Math.round(at * 1e9));
    if (!s || i % RENEWED_AFTER === 0) {
      s = handshake(i / RENEWED_AFTER, { clock: BEGAN + at * 1000 });
      keys.push(log.initiator(s));
      counters.toResponder = counters.toInitiator = 0;
      for (const p of new Scene().handshake(at, s).packets) writer.packet(0, { time: p.time ?? time, data: p.data });
    }
    const way: Way = i % 3 === 0 ? "toInitiator" : "toResponder";
    const counter = counters[way]++;
    memory.set(s.keys[way], keyAt);
    memory.fill(0, textAt, textAt + padded);
    memory.set(inner, textAt);
    crypto.seal(keyAt, counter, 0, textAt, textAt, padded);
    memory.fill(0, headerAt, textAt);
    memory[headerAt] = 4;
    writeU32(memory, headerAt + 4, way === "toResponder" ? s.responderIndex : s.initiatorIndex);
    writeU32(memory, headerAt + 8, counter);
    const frame = frames[way];
    frame.set(memory.subarray(headerAt, textAt + padded + TAG_LENGTH), 28);
    writer.packet(0, { time: time + 1_000_000n, data: frame });
  }
  flush();
  closeSync(file);
  writeFileSync(`${path}.keys`, keys.join(""), { mode: 0o600 });
}

function frameOf(from: typeof A, to: typeof A, length: number): Uint8Array {
  const frame = ipv4({ src: from.ip, dst: to.ip, protocol: 17 }, udp(from.ip, to.ip, from.port, to.port, new Uint8Array(length)));
  // No checksum: none is computed where the network card does.
  frame[26] = frame[27] = 0;
  return frame;
}

/** Writes `packets` frames as a node's network card meets them to `path`, pcapng: TCP and ping of pods in VXLAN, TCP and ping of nodes, IPv6, ARP and WireGuard. */
export function makeMixed(path: string, packets: number): void {
  const file = openSync(path, "w", 0o600);
  const pieces: Uint8Array[] = [];
  const writer = new PcapngWriter((bytes) => void pieces.push(bytes.slice()));
  writer.addInterface({ link: LINK_ETHERNET, name: "eth0" });
  for (let i = 0; i < packets; i++) {
    writer.packet(0, { time: BigInt(BEGAN) * 1_000_000n + BigInt(i) * 20_000n, data: mixedFrame(i), direction: i % 2 === 0 ? "in" : "out" });
    if (i % 10_000 !== 9_999 && i < packets - 1) continue;
    for (const p of pieces) writeSync(file, p);
    pieces.length = 0;
  }
  closeSync(file);
}

const [A6, B6] = [parseIp("2001:db8::1")!, parseIp("2001:db8::2")!];
const MACS = [Uint8Array.of(2, 0, 0, 0, 0, 1), Uint8Array.of(2, 0, 0, 0, 0, 2)] as const;
/** The i-th of them; packets of a flow take turns. */
function mixedFrame(i: number): Uint8Array {
  const [n, round] = [Math.floor(i / 2) % 8, Math.floor(i / 16)];
  const [to, from] = i % 2 === 0 ? MACS : [MACS[1], MACS[0]];
  const hosts = [Uint8Array.of(10, 0, 0, 1), Uint8Array.of(10, 0, 0, 2)] as const;
  const pods = [Uint8Array.of(10, 244, 1, round & 63), Uint8Array.of(10, 244, 2, 7)] as const;
  const of = <T>(pair: readonly [T, T]): readonly [src: T, dst: T] => (i % 2 === 0 ? pair : [pair[1], pair[0]]);
  const inIp4 = (ends: readonly [Uint8Array, Uint8Array], protocol: number, payload: Uint8Array): Uint8Array =>
    ethernet(to, from, ETHERTYPE_IPV4, ipv4({ src: ends[0], dst: ends[1], protocol }, payload));
  const segment = (ends: readonly [Uint8Array, Uint8Array], length: number): Uint8Array => {
    const [srcPort, dstPort] = of([40_000 + (round & 255), 8000]);
    return tcp(
      ...ends,
      { srcPort, dstPort, sequence: round * length, acknowledgement: round * length, flags: 0x18, window: 502 },
      new Uint8Array(length),
    );
  };
  const echo = (ends: readonly [Uint8Array, Uint8Array]): Uint8Array =>
    icmp(...ends, { type: i % 2 === 0 ? 8 : 0, rest: (7 << 16) | (round & 0xffff) }, new Uint8Array(56));
  const inVxlan = (frame: Uint8Array): Uint8Array => inIp4(of(hosts), 17, udp(...of(hosts), 50_000 + n, 4789, vxlan(4096, frame)));
  if (n === 0) return inIp4(of(hosts), 1, echo(of(hosts)));
  if (n === 1) return inVxlan(inIp4(of(pods), 1, echo(of(pods))));
  if (n === 2) return inVxlan(inIp4(of(pods), 6, segment(of(pods), 100)));
  if (n === 3) return ethernet(to, from, ETHERTYPE_ARP, arp(i % 2 === 0 ? 1 : 2, from, of(hosts)[0], to, of(hosts)[1]));
  if (n === 4) {
    const [src, dst] = of([A6, B6]);
    return ethernet(to, from, ETHERTYPE_IPV6, ipv6({ src, dst, protocol: 6 }, segment([src, dst], 300)));
  }
  if (n === 5) {
    const message = new Uint8Array(32 + 128);
    message[0] = 4;
    writeU32(message, 4, 0x1000 + (i % 2));
    writeU32(message, 8, round);
    return inIp4(of(hosts), 17, udp(...of(hosts), 51820, 51820, message));
  }
  return inIp4(of(hosts), 6, segment(of(hosts), n === 6 ? 0 : 600));
}
