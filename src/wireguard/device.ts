// The control half: configuration, handshakes, timers.
import type { Cidr } from "../base/cidr.ts";
import type { Crypto } from "./crypto.ts";
import type { DropReason } from "./drop.ts";
import type { Effect, Moment } from "./effect.ts";
import type { Endpoint } from "./endpoint.ts";
import type { Peer } from "./peer.ts";
import type { Tables } from "./tables.ts";

export class Device {
  /** While true, `keylog` effects are answered. */
  keylog = false;
  constructor(_tables: Tables, _crypto: Crypto) {
    throw new Error("not yet");
  }
  /** 32 bytes, or undefined: none set. */
  get publicKey(): Uint8Array | undefined {
    throw new Error("not yet");
  }
  /** A copy of the (clamped) private key, which the caller wipes. */
  privateKey(): Uint8Array | undefined {
    throw new Error("not yet");
  }
  /** Sets the private key (clamped here; zeros: none). A peer with this very key is removed. Sessions go on receiving; the next packet out starts anew. */
  setPrivateKey(_key: Uint8Array, _at: Moment): Effect[] {
    throw new Error("not yet");
  }
  /** In the order in which they were added. */
  peers(): Iterable<Peer> {
    throw new Error("not yet");
  }
  peer(_publicKey: Uint8Array): Peer | undefined {
    throw new Error("not yet");
  }
  /** A new peer; the one there is; undefined when the key is our own; "full". */
  addPeer(_publicKey: Uint8Array): Peer | undefined | "full" {
    throw new Error("not yet");
  }
  removePeer(_peer: Peer, _at: Moment): Effect[] {
    throw new Error("not yet");
  }
  /** For the next handshake. Zeros: none. */
  setPresharedKey(_peer: Peer, _key: Uint8Array): void {
    throw new Error("not yet");
  }
  setEndpoint(_peer: Peer, _endpoint: Endpoint): void {
    throw new Error("not yet");
  }
  /** Seconds, 0: off. From 0 to n a keepalive is sent at once when the device is up. */
  setPersistentKeepalive(_peer: Peer, _seconds: number, _at: Moment): Effect[] {
    throw new Error("not yet");
  }
  /** Adds or takes over the prefix. False: no room. */
  addAllowedIp(_peer: Peer, _prefix: Cidr): boolean {
    throw new Error("not yet");
  }
  /** Removes the prefix if it is exactly this peer's. */
  removeAllowedIp(_peer: Peer, _prefix: Cidr): void {
    throw new Error("not yet");
  }
  clearAllowedIps(_peer: Peer): void {
    throw new Error("not yet");
  }
  /** After a peer was configured: sends what is staged. */
  configured(_peer: Peer, _at: Moment): Effect[] {
    throw new Error("not yet");
  }
  /** The inner MTU, for padding. */
  setMtu(_mtu: number): void {
    throw new Error("not yet");
  }
  /** The kernel's routes or addresses changed, or fwmark or port did: forget the cached source of every peer. */
  clearSources(): void {
    throw new Error("not yet");
  }
  up(_at: Moment): Effect[] {
    throw new Error("not yet");
  }
  down(_at: Moment): Effect[] {
    throw new Error("not yet");
  }
  /** Timers and what the data half asks for: every 10 to 25 ms while up, and when Head.SIGNAL changed. */
  tick(_at: Moment): Effect[] {
    throw new Error("not yet");
  }
  /** Handles queued handshake messages: when Head.SIGNAL changed. Call again at once while `backlog` is true. */
  receive(_at: Moment): Effect[] {
    throw new Error("not yet");
  }
  /** There are more handshake messages than one receive() takes. */
  get backlog(): boolean {
    throw new Error("not yet");
  }
  /** A fresh initiation now, whatever the rate limit. Nothing when there is no endpoint, no key, or the device is down. */
  forceHandshake(_peer: Peer, _at: Moment): Effect[] {
    throw new Error("not yet");
  }
  /** Drops so far by reason, both halves. */
  drops(): Record<DropReason, number> {
    throw new Error("not yet");
  }
  /** Wipes every secret. The device is of no use afterwards. */
  close(): void {
    throw new Error("not yet");
  }
}
