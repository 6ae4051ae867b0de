// Both halves as one object with memory of its own, for programs that have packets and datagrams instead of a TUN and sockets: a browser, a relay, a test,
// a peer in user space. Every call says what time it is and answers at once with what is to be sent. README.md has the halves themselves.
import { type Cidr, parseCidr } from "../base/cidr.ts";
import { TortieError } from "../base/errors.ts";
import { formatIp, parseIp } from "../base/ip.ts";
import type { Crypto, PacketCrypto } from "./crypto.ts";
import { DataHalf } from "./data.ts";
import { Done } from "./done.ts";
import { oneByOne } from "./onebyone.ts";
import { SEAL_ROOM, SEAL_TAIL } from "./sender.ts";
import { Device } from "./device.ts";
import type { DropReason } from "./drop.ts";
import type { Effect, Moment } from "./effect.ts";
import { type Endpoint, readEndpoint, writeEndpoint } from "./endpoint.ts";
import { secret } from "./secret.ts";
import { createTables, Head, initTables, type Limits, type Tables, tablesSize } from "./tables.ts";

/** A UDP address as node:dgram writes it: `{ address: "192.0.2.1", port: 51820 }`. A link-local address may carry its zone: "fe80::1%eth0". */
export type Address = { readonly address: string; readonly port: number };
/** One UDP payload and where it goes. The bytes are fresh: they are the caller's. */
export type Datagram = { readonly to: Address; readonly bytes: Uint8Array<ArrayBuffer> };

export type TunnelOptions = {
  /** The handshake's crypto: `nobleCrypto` of tortie/crypto/noble, or `opensslCrypto()` of tortie/crypto. */
  readonly crypto: Crypto;
  /** The packets' crypto: `noblePackets` or `opensslPackets`. */
  readonly packets: (memory: ArrayBufferLike) => PacketCrypto;
  /** 32 bytes, copied. @default a fresh one */
  readonly privateKey?: Uint8Array | undefined;
  /** Of the inner link: packets are padded to multiples of 16 bytes, but not beyond it. @default 1420 */
  readonly mtu?: number | undefined;
  /** @default TUNNEL_LIMITS */
  readonly limits?: Limits | undefined;
};

/** What is given is set, the rest stays as it is. */
export type TunnelPeer = {
  /** 32 bytes: which peer. */
  readonly publicKey: Uint8Array;
  /** 32 bytes, copied; zeros: none. */
  readonly presharedKey?: Uint8Array | undefined;
  /** Where it is; without one it must speak first. It follows the peer when that roams. */
  readonly endpoint?: Address | undefined;
  /** Prefixes ("10.0.0.2/32", "fd00::/64") that it may send from and that are sent to it; they replace those it had. */
  readonly allowedIps?: readonly string[] | undefined;
  /** Seconds, 0: off. */
  readonly persistentKeepalive?: number | undefined;
};

export type TunnelPeerStatus = {
  readonly publicKey: Uint8Array;
  readonly endpoint: Address | undefined;
  /** Wall milliseconds of the last completed handshake; 0: never. */
  readonly lastHandshake: number;
  /** UDP payload bytes of what was accepted and sent. */
  readonly rxBytes: number;
  readonly txBytes: number;
};

/** 64 peers, 512 prefixes, 256 packets that wait: 3 MB. */
export const TUNNEL_LIMITS: Limits = { peers: 64, trieNodes: 1024, stagedSlots: 256, stagedBytes: 9216, handshakeCells: 64 };

const LONGEST = 65_535;
const BUFFER = Math.ceil((SEAL_ROOM + LONGEST + SEAL_TAIL) / 64) * 64;

export class Tunnel {
  readonly #tables: Tables;
  readonly #device: Device;
  readonly #data: DataHalf;
  /** Byte offsets: an endpoint record, what is being handled, what is made of it. */
  readonly #endpoint: number;
  readonly #at: number;
  readonly #made: number;
  /** Names of zones; an endpoint's scope is the position + 1. */
  readonly #zones: string[] = [];

  constructor(options: TunnelOptions) {
    const limits = options.limits ?? TUNNEL_LIMITS;
    const given = options.privateKey && key(options.privateKey);
    this.#endpoint = Math.ceil(tablesSize(limits) / 64) * 64;
    this.#at = this.#endpoint + 64 + SEAL_ROOM;
    this.#made = this.#at + BUFFER;
    const memory = new ArrayBuffer(this.#made + BUFFER);
    this.#tables = createTables(memory, 0, limits);
    initTables(this.#tables);
    this.#device = new Device(this.#tables, options.crypto);
    this.#data = new DataHalf(this.#tables, oneByOne(options.packets(memory)));
    this.#device.setMtu(options.mtu ?? 1420);
    const own = secret();
    if (given) own.set(given);
    else options.crypto.random(own);
    // Nothing to send comes of this while there is no peer.
    this.#device.setPrivateKey(own, NEVER);
    this.#device.up(NEVER);
    own.fill(0);
  }

  /** 32 bytes. */
  get publicKey(): Uint8Array {
    return this.#device.publicKey!;
  }

  /** Adds or changes a peer. What is to be sent because of it comes out of the next tick(). Throws TortieError: then nothing was changed, unless there was no room. */
  setPeer(peer: TunnelPeer): void {
    const endpoint = peer.endpoint && this.#toEndpoint(peer.endpoint);
    const prefixes = peer.allowedIps?.map(toPrefix);
    const psk = peer.presharedKey && key(peer.presharedKey);
    const keepalive = peer.persistentKeepalive;
    if (keepalive !== undefined && !isUint16(keepalive))
      throw new TortieError(`Cannot use ${keepalive} as a persistent keepalive: it must be seconds from 0 to 65535`);
    const known = this.#device.addPeer(key(peer.publicKey));
    if (known === "full") throw new TortieError(`Cannot add a peer: there are ${this.#tables.limits.peers} already`, { hint: "Raise `limits`." });
    if (!known) throw new TortieError("Cannot add a peer: its public key is the tunnel's own");
    if (psk) this.#device.setPresharedKey(known, psk);
    if (endpoint) this.#device.setEndpoint(known, endpoint);
    if (prefixes) this.#device.clearAllowedIps(known);
    for (const prefix of prefixes ?? []) {
      if (this.#device.addAllowedIp(known, prefix)) continue;
      throw new TortieError("Cannot add an allowed IP: there is no room for more", { hint: "Raise `limits`." });
    }
    if (keepalive !== undefined) this.#device.setPersistentKeepalive(known, keepalive, NEVER);
    this.#device.configured(known, NEVER);
  }
  /** Also wipes its keys. False: there was none. */
  removePeer(publicKey: Uint8Array): boolean {
    const peer = this.#device.peer(publicKey);
    if (peer) this.#device.removePeer(peer, NEVER);
    return peer !== undefined;
  }
  /** In the order in which they were added. */
  peers(): TunnelPeerStatus[] {
    return Array.from(this.#device.peers(), (p) => {
      const at = p.endpoint();
      const { publicKey, lastHandshake } = p;
      return { publicKey, endpoint: at && this.#toAddress(at), lastHandshake, rxBytes: p.rxBytes(), txBytes: p.txBytes() };
    });
  }
  /** Dropped packets and datagrams so far, by reason. */
  drops(): Record<DropReason, number> {
    return this.#device.drops();
  }

  /**
   * An IP packet to the peer whose prefix covers its destination. The answer is that packet, sealed; or a handshake, and the packet comes out of a later
   * call; or nothing when it was dropped (drops() says why). Throws RangeError when it is longer than 65,535 bytes.
   */
  send(packet: Uint8Array, at: Moment): Datagram[] {
    if (packet.length > LONGEST) throw new RangeError(`Cannot send a packet of ${packet.length} bytes: an IP packet has ${LONGEST} at most`);
    return this.#turn(at, false, (out) => {
      this.#tables.u8.set(packet, this.#at);
      if (this.#data.sender.send(this.#at, packet.length, this.#made, at.now | 0) === Done.SEALED) this.#transmit(out);
    });
  }

  /** A datagram that came from `from`: the IP packets that were in it (none or one), whose source is the sender's to use, and what is to be sent. */
  receive(datagram: Uint8Array, from: Address, at: Moment): { readonly packets: Uint8Array<ArrayBuffer>[]; readonly datagrams: Datagram[] } {
    const packets: Uint8Array<ArrayBuffer>[] = [];
    writeEndpoint(this.#tables.u8, this.#tables.u32, this.#endpoint, this.#toEndpoint(from));
    const datagrams = this.#turn(at, false, () => {
      if (datagram.length > LONGEST) return this.#data.receiver.truncated();
      this.#tables.u8.set(datagram, this.#at);
      const { receiver } = this.#data;
      receiver.source(this.#endpoint);
      if (receiver.receive(this.#at, datagram.length, this.#made, at.now | 0) === Done.DELIVER)
        packets.push(this.#slice(receiver.packetAt, receiver.packetLength));
    });
    return { packets, datagrams };
  }

  /** What the timers want sent: retransmissions, keepalives, new sessions. Every 100 ms or so; while nothing is under way every second will do. */
  tick(at: Moment): Datagram[] {
    return this.#turn(at, true, () => {});
  }

  /** A handshake with the peer now, without a packet for it. Nothing when it has no endpoint. Throws TortieError when there is no such peer. */
  handshake(publicKey: Uint8Array, at: Moment): Datagram[] {
    const peer = this.#device.peer(publicKey);
    if (!peer) throw new TortieError("Cannot start a handshake: there is no such peer");
    return this.#turn(at, true, (out) => this.#perform(this.#device.forceHandshake(peer, at), out));
  }

  /** Wipes every key and packet. The tunnel is of no use afterwards. */
  close(): void {
    this.#device.close();
    this.#tables.u8.fill(0);
  }

  // One round of the data half, then the control half's turns for as long as there is something for it.
  #turn(at: Moment, control: boolean, packet: (out: Datagram[]) => void): Datagram[] {
    const out: Datagram[] = [];
    let seen = this.#signal();
    this.#round(at, out, packet);
    for (let due = control; due || this.#signal() !== seen;) {
      seen = this.#signal();
      const effects = [...this.#device.receive(at), ...this.#device.tick(at)];
      if (this.#perform(effects, out)) this.#round(at, out, () => {});
      due = this.#device.backlog;
    }
    return out;
  }
  #round(at: Moment, out: Datagram[], packet: (out: Datagram[]) => void): void {
    this.#data.enter();
    packet(out);
    while (this.#data.sender.work(this.#made, at.now | 0) === Done.SEALED) this.#transmit(out);
    this.#data.leave();
  }
  // True: the data half has something to do.
  #perform(effects: readonly Effect[], out: Datagram[]): boolean {
    for (const e of effects) if (e.kind === "send") out.push({ to: this.#toAddress(e.to), bytes: e.message.slice() });
    return effects.some((e) => e.kind === "wake");
  }
  // The message that the data half just made.
  #transmit(out: Datagram[]): void {
    const { sender } = this.#data;
    const { peer, messageAt, messageLength } = sender;
    if (!sender.endpoint(peer, this.#endpoint)) return sender.sendFailed(peer, messageLength, 1);
    const to = this.#toAddress(readEndpoint(this.#tables.u8, this.#tables.u32, this.#endpoint)!);
    out.push({ to, bytes: this.#slice(messageAt, messageLength) });
  }
  #slice(at: number, length: number): Uint8Array<ArrayBuffer> {
    return this.#tables.u8.slice(at, at + length);
  }
  #signal(): number {
    return this.#tables.i32[this.#tables.head + Head.SIGNAL]!;
  }

  #toEndpoint({ address, port }: Address): Endpoint {
    const [text, zone] = address.split("%");
    const ip = parseIp(text!);
    if (!ip || port === 0 || !isUint16(port)) throw new TortieError(`Cannot use "${address}", port ${port} as a UDP address`);
    return zone === undefined ? { ip, port } : { ip, port, scope: this.#zone(zone) };
  }
  #toAddress({ ip, port, scope }: Endpoint): Address {
    return { address: scope === undefined ? formatIp(ip) : `${formatIp(ip)}%${this.#zones[scope - 1]!}`, port };
  }
  #zone(name: string): number {
    const at = this.#zones.indexOf(name);
    return at < 0 ? this.#zones.push(name) : at + 1;
  }
}

// Configuration changes nothing that depends on the moment before the next tick().
const NEVER: Moment = { now: 0, wall: 0 };

const isUint16 = (n: number): boolean => Number.isInteger(n) && n >= 0 && n <= 0xffff;

function key(bytes: Uint8Array): Uint8Array {
  if (bytes.length !== 32) throw new TortieError(`Cannot use ${bytes.length} bytes as a key: a key has 32`);
  return bytes;
}

function toPrefix(text: string): Cidr {
  const prefix = parseCidr(text);
  if (!prefix) throw new TortieError(`Cannot use "${text}" as an allowed IP: it must be a prefix such as 10.0.0.2/32 or fd00::/64`);
  return prefix;
}
