// Devices in one process, joined by a network of our own making: both halves, a clock that is moved by hand, delay and loss. For tests here and elsewhere.
import { fromHex } from "../base/bytes.ts";
import { parseCidr } from "../base/cidr.ts";
import { parseIp } from "../base/ip.ts";
import { nobleCrypto } from "../crypto/noble.ts";
import { opensslCrypto } from "../crypto/openssl.ts";
import { opensslPackets } from "../crypto/packets.ts";
import type { Crypto, PacketCrypto } from "./crypto.ts";
import { DataHalf } from "./data.ts";
import { Done } from "./done.ts";
import { Device } from "./device.ts";
import type { Effect, Moment } from "./effect.ts";
import { type Endpoint, readEndpoint, writeEndpoint } from "./endpoint.ts";
import { oneByOne } from "./onebyone.ts";
import type { Peer } from "./peer.ts";
import type { Secrets } from "./secrets.ts";
import { createTables, Head, initTables, type Limits, type Tables, tablesSize } from "./tables.ts";

export const SMALL: Limits = { peers: 8, trieNodes: 256, stagedSlots: 256, stagedBytes: 2048, handshakeCells: 64 };
const BUFFER = 70_016;

export type Datagram = { readonly from: Endpoint; readonly to: Endpoint; readonly bytes: Uint8Array };

export class Network {
  /** Milliseconds. */
  now = 1_000_000;
  wallOffset = 1_700_000_000_000;
  delay = 0;
  /** True: the datagram is lost. */
  lose: (d: Datagram) => boolean = () => false;
  /** Everything that was sent. */
  readonly log: (Datagram & { readonly at: number })[] = [];
  readonly nodes: Node[] = [];
  #flying: { readonly due: number; readonly datagram: Datagram }[] = [];

  get moment(): Moment {
    return { now: this.now, wall: this.now + this.wallOffset };
  }
  send(datagram: Datagram): void {
    this.log.push({ ...datagram, at: this.now });
    if (!this.lose(datagram)) this.#flying.push({ due: this.now + this.delay, datagram });
  }
  /** Delivers what is due, until nothing is. */
  settle(): void {
    for (let rounds = 0; rounds < 1000; rounds++) {
      const due = this.#flying.filter((f) => f.due <= this.now);
      this.#flying = this.#flying.filter((f) => f.due > this.now);
      for (const { datagram } of due) this.nodes.find((n) => key(n.at) === key(datagram.to))?.arrive(datagram);
      if (due.length === 0) return;
    }
    throw new Error("the network does not come to rest");
  }
  /** Moves the clock in steps of 10 ms, with ticks. */
  pass(ms: number, step = 10): void {
    for (const end = this.now + ms; this.now < end;) {
      this.now = Math.min(end, this.now + step);
      this.settle();
      for (const n of this.nodes) n.tick();
      this.settle();
    }
  }
}

const key = (e: Endpoint): string => `${e.ip.join(".")} ${e.port}`;

export const endpoint = (ip: string, port: number): Endpoint => ({ ip: parseIp(ip)!, port });

export class Node {
  readonly net: Network;
  readonly tables: Tables;
  readonly device: Device;
  readonly data: DataHalf;
  at: Endpoint;
  /** Inner packets that were delivered. */
  readonly inbox: Uint8Array[] = [];
  readonly effects: Effect[] = [];
  /** Code of the last Receiver.receive(). */
  lastCode = 0;
  readonly #scratch: number;
  /** Where messages are sealed and packets opened. */
  readonly #made: number;

  constructor(
    net: Network,
    at: Endpoint,
    options: {
      crypto?: Crypto;
      packets?: (memory: ArrayBufferLike) => PacketCrypto;
      limits?: Limits;
      privateKey?: Uint8Array;
      secrets?: Secrets;
    } = {},
  ) {
    const limits = options.limits ?? SMALL;
    this.net = net;
    this.at = at;
    this.#scratch = Math.ceil(tablesSize(limits) / 64) * 64;
    this.#made = this.#scratch + BUFFER;
    const memory = new ArrayBuffer(this.#scratch + 2 * BUFFER);
    this.tables = createTables(memory, 0, limits);
    initTables(this.tables);
    this.device = new Device(this.tables, options.crypto ?? opensslCrypto(), options.secrets);
    this.data = new DataHalf(createTables(memory, 0, limits), oneByOne((options.packets ?? opensslPackets)(memory)));
    net.nodes.push(this);
    const key = new Uint8Array(32);
    nobleCrypto.random(key);
    this.perform(this.device.setPrivateKey(options.privateKey ?? key, net.moment));
    this.device.setMtu(1420);
    this.perform(this.device.up(net.moment));
  }
  addPeer(other: Node | Uint8Array, options: { endpoint?: Endpoint; allowed?: string[]; psk?: string } = {}): Peer {
    const peer = this.device.addPeer(other instanceof Node ? other.device.publicKey! : other);
    if (peer === undefined || peer === "full") throw new Error("no peer");
    if (options.endpoint) this.device.setEndpoint(peer, options.endpoint);
    if (options.psk !== undefined) this.device.setPresharedKey(peer, fromHex(options.psk)!);
    for (const a of options.allowed ?? []) this.device.addAllowedIp(peer, parseCidr(a)!);
    return peer;
  }
  perform(effects: Effect[]): void {
    this.effects.push(...effects);
    for (const e of effects) if (e.kind === "send") this.net.send({ from: this.at, to: e.to, bytes: e.message });
    if (effects.some((e) => e.kind === "wake")) this.work();
  }
  tick(): void {
    this.perform(this.device.receive(this.net.moment));
    this.perform(this.device.tick(this.net.moment));
  }
  /** One round of the data thread. */
  round(what: () => void): void {
    const signal = this.tables.i32[this.tables.head + Head.SIGNAL];
    this.data.enter();
    what();
    this.#drain();
    this.data.leave();
    if (this.tables.i32[this.tables.head + Head.SIGNAL] !== signal) this.tick();
  }
  work(): void {
    this.round(() => {});
  }
  /** The answers of the kinds asked for, in order. */
  kinds(...kinds: Effect["kind"][]): Effect[] {
    return this.effects.filter((e) => kinds.includes(e.kind));
  }
  arrive({ from, bytes }: Pick<Datagram, "from" | "bytes">): void {
    this.round(() => {
      const at = this.#scratch + 128;
      const { receiver } = this.data;
      writeEndpoint(this.tables.u8, this.tables.u32, this.#scratch, from);
      this.tables.u8.set(bytes, at);
      receiver.source(this.#scratch);
      this.lastCode = receiver.receive(at, bytes.length, this.#made, this.net.now);
      if (this.lastCode === Done.DELIVER) this.inbox.push(this.tables.u8.slice(receiver.packetAt, receiver.packetAt + receiver.packetLength));
    });
  }
  /** An inner packet from the TUN; the answer is send()'s code. */
  send(packet: Uint8Array): number {
    let code = 0;
    this.round(() => {
      const at = this.#scratch + 128;
      this.tables.u8.set(packet, at);
      code = this.data.sender.send(at, packet.length, this.#made, this.net.now);
      if (code === Done.SEALED) this.#transmit();
    });
    return code;
  }
  #drain(): void {
    while (this.data.sender.work(this.#made, this.net.now) === Done.SEALED) this.#transmit();
  }
  #transmit(): void {
    const { sender } = this.data;
    if (!sender.endpoint(sender.peer, this.#scratch)) throw new Error("sealed for a peer without endpoint");
    const to = readEndpoint(this.tables.u8, this.tables.u32, this.#scratch)!;
    this.net.send({ from: this.at, to, bytes: this.tables.u8.slice(sender.messageAt, sender.messageAt + sender.messageLength) });
  }
}

/** pair(), after a ping and its answer. */
export function connected(): ReturnType<typeof pair> {
  const p = pair();
  p.a.send(packet("10.0.0.1", "10.0.0.2"));
  p.net.settle();
  p.b.send(packet("10.0.0.2", "10.0.0.1"));
  p.net.settle();
  p.net.pass(100);
  return p;
}

/** An IPv4 or IPv6 packet with a payload of `size` bytes counting up. */
export function packet(from: string, to: string, size = 56): Uint8Array {
  const [source, destination] = [parseIp(from)!, parseIp(to)!];
  const header = source.length === 4 ? 20 : 40;
  const out = new Uint8Array(header + size).map((_, i) => i);
  out.fill(0, 0, header);
  if (source.length === 4) {
    out[0] = 0x45;
    out[2] = out.length >> 8;
    out[3] = out.length;
  } else {
    out[0] = 0x60;
    out[4] = size >> 8;
    out[5] = size;
  }
  out.set(source, source.length === 4 ? 12 : 8);
  out.set(destination, source.length === 4 ? 16 : 24);
  return out;
}

/** Two nodes that know each other: 10.0.0.1 and fd00::1 behind a, 10.0.0.2 and fd00::2 behind b. */
export function pair(options: ConstructorParameters<typeof Node>[2] & { psk?: string } = {}): { net: Network; a: Node; b: Node; ab: Peer; ba: Peer } {
  const net = new Network();
  const a = new Node(net, endpoint("192.0.2.1", 1), options);
  const b = new Node(net, endpoint("192.0.2.2", 2), options);
  const psk = options.psk === undefined ? {} : { psk: options.psk };
  const ab = a.addPeer(b, { endpoint: b.at, allowed: ["10.0.0.2/32", "fd00::2/128"], ...psk });
  const ba = b.addPeer(a, { endpoint: a.at, allowed: ["10.0.0.1/32", "fd00::1/128"], ...psk });
  return { net, a, b, ab, ba };
}
