// The contract of the WireGuard configuration protocol ("cross-platform userspace implementation", www.wireguard.com/xplatform): what a live device
// offers to the server, and what a client asks for. Types only; no I/O here.
import type { Cidr } from "../base/cidr.ts";
import type { Ip } from "../base/ip.ts";

export const KEY_LENGTH = 32;

/** Linux errno numbers that the protocol answers with. Positive here; the server chooses the sign on the wire. */
export const Errno = {
  OK: 0,
  EPERM: 1,
  ENOENT: 2,
  EIO: 5,
  EBUSY: 16,
  ENODEV: 19,
  EINVAL: 22,
  EPROTO: 71,
  EADDRINUSE: 98,
  EADDRNOTAVAIL: 99,
} as const;

/** 0 or a positive Linux errno (any, not only those of the table above). A promise is awaited before the next line is read. */
export type Outcome = number | Promise<number>;

/** Where a peer is. `zone` is the interface of a link-local IPv6 address, by name or number. */
export type Endpoint = { readonly ip: Ip; readonly port: number; readonly zone?: string };

export type PeerState = {
  /** 32 bytes. */
  readonly publicKey: Uint8Array;
  /** 32 bytes; zeros: none. */
  readonly presharedKey: Uint8Array;
  readonly endpoint?: Endpoint | undefined;
  /** Wall time of the last completed handshake; 0, 0: never. */
  readonly lastHandshakeSec: number;
  readonly lastHandshakeNsec: number;
  readonly txBytes: number | bigint;
  readonly rxBytes: number | bigint;
  /** Seconds; 0: off. */
  readonly persistentKeepalive: number;
  readonly allowedIps: Iterable<Cidr>;
};

export type DeviceState = {
  /** 32 bytes: a copy, which the receiver wipes after use. undefined: none set. */
  readonly privateKey?: Uint8Array | undefined;
  /** The real port after bind; 0: none. */
  readonly listenPort: number;
  readonly fwmark: number;
  /** While its keys are handed out: to how many, and those of how many handshakes so far. */
  readonly keylog?: { readonly readers: number; readonly records: number } | undefined;
  /** In the order in which they were added. */
  readonly peers: Iterable<PeerState>;
};

/** One peer during one set operation. Every method takes effect at once: what was applied before an error stays applied. */
export interface UapiPeer {
  /** True when this operation made the peer (a late `update_only` then removes it again). */
  readonly created: boolean;
  /** Zeros: none. `key` is good until this returns; the caller wipes it. The same value again must not disturb the session. */
  setPresharedKey(key: Uint8Array): Outcome;
  setEndpoint(endpoint: Endpoint): Outcome;
  /** Seconds, 0: off. Going 0 → n sends a keepalive at once (at done(), when the device is up). */
  setPersistentKeepalive(seconds: number): Outcome;
  /** Forgets all allowed IPs of this peer. */
  replaceAllowedIps(): Outcome;
  /** Adds; takes the prefix away from whichever peer has it. */
  addAllowedIp(cidr: Cidr): Outcome;
  /** Removes the prefix if it is this peer's. */
  removeAllowedIp(cidr: Cidr): Outcome;
  /** Removes the peer. No other call follows. */
  remove(): Outcome;
  /** The peer's last line was read: start timers, flush what is staged. Not called after remove(). Called also when the operation failed. */
  done(): void;
}

/** What a live device offers to the UAPI server. Calls are never concurrent with each other within one operation; operations of several
 * connections may interleave between lines. */
export interface UapiDevice {
  /** 32 bytes where secret keys of a set operation are decoded. @default memory of their own */
  readonly keyCell?: Uint8Array;
  /** A snapshot. */
  state(): DeviceState;
  /** Zeros clear the key. `key` is good until this returns; the caller wipes it. */
  setPrivateKey(key: Uint8Array): Outcome;
  /** 0: any free port. */
  setListenPort(port: number): Outcome;
  /** 0: none. */
  setFwmark(mark: number): Outcome;
  /** Removes all peers. */
  replacePeers(): Outcome;
  /**
   * Selects or creates the peer whose lines follow. undefined: its lines are read and ignored (the key is the device's own; or `updateOnly` and there
   * is no such peer). A positive errno refuses it.
   */
  peer(publicKey: Uint8Array, updateOnly: boolean): UapiPeer | undefined | number;
  /** Sends a fresh handshake initiation now to these peers; [] = to all that have an endpoint. An unknown key: ENOENT. */
  handshake(publicKeys: readonly Uint8Array[]): Outcome;
  /**
   * Subscribes to the key log (Wireshark's grammar): first (before this returns) come all static keys, then a record for each handshake before its message
   * is sent. The result unsubscribes.
   */
  keylog(listener: KeylogListener): () => void;
  /** Ends all subscriptions, whoever made them. */
  endKeylogs(): void;
}

export type KeylogListener = {
  /** Gets whole lines, as bytes of its own, which it wipes after use. */
  write(lines: Uint8Array): void;
  /** Public keys of the peers whose handshakes it may hear of. @default all */
  readonly peers?: readonly Uint8Array[] | undefined;
  /** It also wants the keys of the sessions that exist, at the beginning. @default false */
  readonly existing?: boolean | undefined;
  /** Called when the subscription was ended by others. */
  ended?(): void;
};
/** What a client asks for when it subscribes. */
export type KeylogRequest = Pick<KeylogListener, "peers" | "existing"> & {
  /** It ends by itself. @default never */
  readonly seconds?: number | undefined;
};

export type PeerConfig = {
  readonly publicKey: Uint8Array;
  readonly remove?: boolean;
  readonly updateOnly?: boolean;
  /** Zeros: none. */
  readonly presharedKey?: Uint8Array | undefined;
  readonly endpoint?: Endpoint | undefined;
  readonly persistentKeepalive?: number | undefined;
  readonly replaceAllowedIps?: boolean;
  readonly allowedIps?: Iterable<AllowedIpChange>;
};
/** A prefix to add, or (`remove`) to take away. */
export type AllowedIpChange = Cidr & { readonly remove?: boolean };

/** A set operation: only what is given is changed. */
export type DeviceConfig = {
  /** Zeros clear. Not wiped: it stays the caller's. */
  readonly privateKey?: Uint8Array | undefined;
  readonly listenPort?: number | undefined;
  readonly fwmark?: number | undefined;
  readonly replacePeers?: boolean;
  readonly peers?: Iterable<PeerConfig>;
};
