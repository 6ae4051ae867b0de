// Real handshakes and data between made-up peers, made with the protocol's own code, and the captures that would show them.
import { concat, toBase64, utf8 } from "../base/bytes.ts";
import { parseIp } from "../base/ip.ts";
import { nodeCrypto as crypto } from "../crypto/node.ts";
import { icmp, ipv4, udp } from "../packet/build.ts";
import { LINK_RAW } from "../packet/link.ts";
import { makeInitiation, makeResponse, openInitiation, openTimestamp } from "../wireguard/handshake.ts";
import { Initiation, Response, writeU32 } from "../wireguard/messages.ts";
import { type Pair, PROLOGUE, start, Transcript } from "../wireguard/noise.ts";
import { wiping } from "../wireguard/secretcrypto.ts";
import { tai64n } from "../wireguard/tai64n.ts";
import type { CapturedPacket, CaptureInterface } from "./packet.ts";
import { nonceOf, type TransportKeys } from "./replay.ts";

const START = start(crypto, PROLOGUE);
const NOTHING = new Uint8Array(0);
/** Throw-away keys: the same for the same seed. */
export const pair = (seed: number): Pair => {
  const key = crypto.hash(utf8(`throw-away ${seed}`));
  return { private: key, public: crypto.publicKey(key) };
};

export type Made = {
  readonly initiator: Pair;
  readonly responder: Pair;
  readonly initiatorEphemeral: Pair;
  readonly responderEphemeral: Pair;
  readonly psk: Uint8Array;
  readonly initiatorIndex: number;
  readonly responderIndex: number;
  readonly initiation: Uint8Array;
  readonly response: Uint8Array;
  readonly keys: TransportKeys;
};
export type HandshakeOptions = {
  initiator?: Pair;
  responder?: Pair;
  psk?: Uint8Array;
  initiatorIndex?: number;
  responderIndex?: number;
  /** Initiator's clock, ms since 1970. */
  clock?: number;
};
export const NO_PSK: Uint8Array = new Uint8Array(32);
export const BEGAN = 1_795_418_953_000;

/** A whole handshake. `seed`: of the ephemeral keys, and of what is not given. */
export function handshake(seed: number, o: HandshakeOptions = {}): Made {
  const [initiator, responder, psk] = [o.initiator ?? pair(1), o.responder ?? pair(2), o.psk ?? NO_PSK];
  const [initiatorEphemeral, responderEphemeral] = [pair(1000 + 2 * seed), pair(1001 + 2 * seed)];
  const [initiatorIndex, responderIndex] = [o.initiatorIndex ?? 0x1000 + seed, o.responderIndex ?? 0x80_0000 + seed];
  const t = new Transcript(wiping(crypto));
  const ss = crypto.dh(initiator.private, responder.public)!;
  const a = { index: initiatorIndex, local: initiator, ephemeral: initiatorEphemeral, remote: responder.public, ss };
  const initiation = makeInitiation(t, START, { ...a, timestamp: tai64n(o.clock ?? BEGAN) })!;
  const opened = openInitiation(t, START, responder, initiation)!;
  openTimestamp(t, ss, initiation);
  const keys = { send: new Uint8Array(32), receive: new Uint8Array(32) };
  const response = makeResponse(t, opened, { index: responderIndex, ephemeral: responderEphemeral, psk }, keys)!;
  seal1(initiation, responder.public, Initiation.MAC1);
  seal1(response, initiator.public, Response.MAC1);
  return {
    initiator,
    responder,
    initiatorEphemeral,
    responderEphemeral,
    psk,
    initiatorIndex,
    responderIndex,
    initiation,
    response,
    keys: { toResponder: keys.receive, toInitiator: keys.send },
  };
}
const seal1 = (message: Uint8Array, to: Uint8Array, at: number): void =>
  message.set(crypto.mac(crypto.hash(utf8("mac1----"), to), message.subarray(0, at)), at);

/** A data message; without a packet a keepalive. */
export function data(s: Made, way: "toResponder" | "toInitiator", counter: number | bigint, packet: Uint8Array = NOTHING): Uint8Array {
  const header = new Uint8Array(16);
  header[0] = 4;
  writeU32(header, 4, way === "toResponder" ? s.responderIndex : s.initiatorIndex);
  new DataView(header.buffer).setBigUint64(8, BigInt(counter), true);
  const padded = concat(packet, new Uint8Array(-packet.length & 15));
  return concat(header, crypto.seal(s.keys[way], nonceOf(BigInt(counter)), padded, NOTHING));
}
const [INNER_A, INNER_B] = [parseIp("10.10.0.1")!, parseIp("10.10.0.2")!];
/** An inner packet of `length` bytes. */
export const ping = (n: number, length = 84): Uint8Array =>
  ipv4({ src: INNER_A, dst: INNER_B, protocol: 1 }, icmp(INNER_A, INNER_B, { type: 8, rest: n }, new Uint8Array(length - 28)));

export const A = { ip: parseIp("192.0.2.1")!, port: 51_820 };
export const B = { ip: parseIp("192.0.2.2")!, port: 51_821 };
export type Place = { readonly ip: Uint8Array; readonly port: number };
export const IFACE: CaptureInterface = { id: 0, link: LINK_RAW, snaplen: 0, fcsLength: 0, comments: [] };

/** A capture, packet by packet. `at`: seconds after its beginning. */
export class Scene {
  readonly packets: CapturedPacket[] = [];

  add(at: number, from: Place, to: Place, message: Uint8Array, o: { iface?: CaptureInterface; keep?: number; id?: number; ttl?: number } = {}): this {
    const bytes = ipv4({ src: from.ip, dst: to.ip, protocol: 17, id: o.id ?? 0, ttl: o.ttl ?? 64 }, udp(from.ip, to.ip, from.port, to.port, message));
    this.packets.push({
      number: this.packets.length + 1,
      iface: o.iface ?? IFACE,
      time: BigInt(BEGAN) * 1_000_000n + BigInt(Math.round(at * 1e9)),
      data: bytes.subarray(0, o.keep ?? bytes.length),
      originalLength: bytes.length,
      comments: [],
    });
    return this;
  }
  /** Both messages, `rtt` seconds apart. */
  handshake(at: number, s: Made, rtt = 0.001): this {
    return this.add(at, A, B, s.initiation).add(at + rtt, B, A, s.response);
  }
}

const line = (name: string, key: Uint8Array): string => `${name} = ${toBase64(key)}\n`;
export const log = {
  private: (p: Pair): string => line("LOCAL_STATIC_PRIVATE_KEY", p.private),
  public: (p: Pair): string => line("REMOTE_STATIC_PUBLIC_KEY", p.public),
  ephemeral: (p: Pair): string => line("LOCAL_EPHEMERAL_PRIVATE_KEY", p.private),
  psk: (key: Uint8Array): string => line("PRESHARED_KEY", key),
  /** The four lines of the initiator. */
  initiator: (s: Made): string => log.private(s.initiator) + log.public(s.responder) + log.ephemeral(s.initiatorEphemeral) + log.psk(s.psk),
  responder: (s: Made): string => log.private(s.responder) + log.public(s.initiator) + log.ephemeral(s.responderEphemeral) + log.psk(s.psk),
};
