// A capture of any size to measure readers with: real handshakes and data messages between two made-up peers, renewed now and then, and their key log.
import { closeSync, openSync, writeFileSync, writeSync } from "node:fs";
import { A, B, BEGAN, handshake, log, type Made, ping, Scene } from "../src/capture/made.cases.ts";
import { PcapWriter } from "../src/capture/writer.ts";
import { opensslPackets } from "../src/crypto/packets.ts";
import { ipv4, udp } from "../src/packet/build.ts";
import { LINK_RAW } from "../src/packet/link.ts";
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
