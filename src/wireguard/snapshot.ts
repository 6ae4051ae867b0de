// All that a device knows, as a value and as bytes: what a running device gives to its successor (handover.ts). It says what things mean, not where they
// lie, so that two versions with different tables understand each other. It holds every secret there is: whoever has one wipes it.
import { blob, bool, bytes, f64, type Form, i32, list, optional, Reader, record, text, u32, u8, Writer } from "../base/binary.ts";
import { TortieError } from "../base/errors.ts";
import { REPLAY_BITS } from "./constants.ts";
import { TIMESTAMP_LENGTH } from "./messages.ts";

/** Counts up when the meaning of the bytes changes. A device that is asked for another version refuses, and goes on. */
export const SNAPSHOT_VERSION = 1;

const KEY = 32;
/** The greatest counter + 1 (two words), and a bit for each counter of the window (replay.ts). */
export const WINDOW_BYTES: number = 8 + REPLAY_BITS / 8;

export type KeypairSnapshot = {
  /** Place in the peer's row: 0 current, 1 previous, 2 next. */
  readonly place: number;
  readonly local: number;
  readonly remote: number;
  /** Stamp of the clock that both processes share (CLOCK_BOOTTIME, 32 bits of milliseconds). */
  readonly created: number;
  readonly initiator: boolean;
  /** Bits of Usable. */
  readonly usable: number;
  readonly renewalAsked: boolean;
  /** The next counter to send: no counter below it may be used again. */
  readonly sendLo: number;
  readonly sendHi: number;
  readonly sendKey: Uint8Array;
  readonly receiveKey: Uint8Array;
  readonly window: Uint8Array;
};

export type EndpointSnapshot = {
  readonly ip: Uint8Array;
  readonly port: number;
  readonly scope: number;
  readonly source: Uint8Array | undefined;
  readonly sourceInterface: number;
};
export type PrefixSnapshot = { readonly ip: Uint8Array; readonly prefix: number };
export type Count = { readonly name: string; readonly count: number };

export type PeerSnapshot = {
  readonly publicKey: Uint8Array;
  readonly presharedKey: Uint8Array;
  /** DH of the static keys; absent: none. */
  readonly shared: Uint8Array | undefined;
  readonly endpoint: EndpointSnapshot | undefined;
  readonly allowedIps: readonly PrefixSnapshot[];
  readonly lastStamp: Uint8Array;
  readonly greatestStamp: Uint8Array;
  /** Moments, stamps, bits and counts, under the device's `names`. */
  readonly numbers: readonly number[];
  readonly keypairs: readonly KeypairSnapshot[];
  /** Packets that wait for a session, oldest first; an empty one is a keepalive. */
  readonly staged: readonly Uint8Array[];
};

export type DeviceSnapshot = {
  /** Clamped. */
  readonly privateKey: Uint8Array | undefined;
  readonly up: boolean;
  readonly mtu: number;
  readonly drops: readonly Count[];
  /** Of the peers' numbers: names may come and go between versions. */
  readonly names: readonly string[];
  readonly peers: readonly PeerSnapshot[];
};

const key = bytes(KEY);
const count: Form<Count> = record({ name: text, count: f64 });
const counts = list(count);
const keypair: Form<KeypairSnapshot> = record({
  place: u8,
  local: u32,
  remote: u32,
  created: i32,
  initiator: bool,
  usable: u8,
  renewalAsked: bool,
  sendLo: u32,
  sendHi: u32,
  sendKey: key,
  receiveKey: key,
  window: bytes(WINDOW_BYTES),
});
const endpoint: Form<EndpointSnapshot> = record({ ip: blob, port: u32, scope: u32, source: optional(blob), sourceInterface: u32 });
const peer: Form<PeerSnapshot> = record({
  publicKey: key,
  presharedKey: key,
  shared: optional(key),
  endpoint: optional(endpoint),
  allowedIps: list(record({ ip: blob, prefix: u8 })),
  lastStamp: bytes(TIMESTAMP_LENGTH),
  greatestStamp: bytes(TIMESTAMP_LENGTH),
  numbers: list(f64),
  keypairs: list(keypair),
  staged: list(blob),
});
/** The form of a device's snapshot, for those who put more around it. */
export const deviceForm: Form<DeviceSnapshot> = record({
  privateKey: optional(key),
  up: bool,
  mtu: u32,
  drops: counts,
  names: list(text),
  peers: list(peer),
});

/** Bytes of a value, which the caller wipes. */
export function encode<T>(form: Form<T>, value: T): Uint8Array<ArrayBuffer> {
  const writer = new Writer();
  form.write(writer, value);
  return writer.bytes;
}
/** The value of these bytes, all of them. Throws TortieError. */
export function decode<T>(form: Form<T>, from: Uint8Array): T {
  const reader = new Reader(from);
  const value = form.read(reader);
  if (reader.left > 0) throw new TortieError(`Cannot read a device's state: ${reader.left} bytes are left over`);
  return value;
}

/** Overwrites the secrets of a snapshot, and the packets. */
export function wipeSnapshot(device: DeviceSnapshot): void {
  device.privateKey?.fill(0);
  for (const p of device.peers) {
    p.presharedKey.fill(0);
    p.shared?.fill(0);
    for (const k of p.keypairs) {
      k.sendKey.fill(0);
      k.receiveKey.fill(0);
    }
    for (const packet of p.staged) packet.fill(0);
  }
}
