// A device that only remembers its configuration: the in-memory twin of a live one, for tests of whatever speaks to a device.
import { toHex } from "../base/bytes.ts";
import { type Cidr, formatCidr } from "../base/cidr.ts";
import { newPeer, type PeerDraft } from "./draft.ts";
import { type DeviceState, type Endpoint, Errno, type KeylogListener, type UapiDevice, type UapiPeer } from "./types.ts";

export class MemoryDevice implements UapiDevice {
  privateKey: Uint8Array | undefined;
  listenPort = 0;
  fwmark = 0;
  readonly peers: Map<string, PeerDraft> = new Map();
  /** What was called, one line each, keys and all. */
  readonly calls: string[] = [];
  readonly #keylogs = new Set<KeylogListener>();
  readonly #ownPublicKey: Uint8Array | undefined;

  /** `ownPublicKey`: lines of a peer of this key are ignored. */
  constructor(ownPublicKey?: Uint8Array) {
    this.#ownPublicKey = ownPublicKey;
  }

  state(): DeviceState {
    return { privateKey: this.privateKey?.slice(), listenPort: this.listenPort, fwmark: this.fwmark, peers: this.peers.values() };
  }
  setPrivateKey(key: Uint8Array): number {
    this.calls.push(`private_key ${toHex(key)}`);
    this.privateKey = key.some((b) => b !== 0) ? key.slice() : undefined;
    return Errno.OK;
  }
  setListenPort(port: number): number {
    this.calls.push(`listen_port ${port}`);
    this.listenPort = port;
    return Errno.OK;
  }
  setFwmark(mark: number): number {
    this.calls.push(`fwmark ${mark}`);
    this.fwmark = mark;
    return Errno.OK;
  }
  replacePeers(): number {
    this.calls.push("replace_peers");
    this.peers.clear();
    return Errno.OK;
  }
  peer(publicKey: Uint8Array, updateOnly: boolean): UapiPeer | undefined {
    const id = toHex(publicKey);
    this.calls.push(`peer ${id}${updateOnly ? " update_only" : ""}`);
    if (this.#ownPublicKey && toHex(this.#ownPublicKey) === id) return undefined;
    const known = this.peers.get(id);
    if (!known && updateOnly) return undefined;
    const peer = known ?? newPeer(publicKey);
    this.peers.set(id, peer);
    return this.#session(id, peer, !known);
  }
  handshake(publicKeys: readonly Uint8Array[]): number {
    this.calls.push(["handshake", ...publicKeys.map(toHex)].join(" "));
    return publicKeys.every((k) => this.peers.has(toHex(k))) ? Errno.OK : Errno.ENOENT;
  }
  keylog(listener: KeylogListener): () => void {
    this.calls.push(["keylog", ...(listener.peers ?? []).map(toHex), ...(listener.existing ? ["existing"] : [])].join(" "));
    this.#keylogs.add(listener);
    return () => {
      if (this.#keylogs.delete(listener)) this.calls.push("keylog end");
    };
  }
  endKeylogs(): void {
    for (const listener of this.#keylogs) {
      this.#keylogs.delete(listener);
      this.calls.push("keylog ended");
      listener.ended?.();
    }
  }
  /** Hands a copy of these lines to every key log reader. */
  log(lines: Uint8Array): void {
    for (const listener of this.#keylogs) listener.write(lines.slice());
  }

  #session(id: string, peer: PeerDraft, created: boolean): UapiPeer {
    const say = (text: string): number => {
      this.calls.push(`  ${text}`);
      return Errno.OK;
    };
    const without = (cidr: Cidr, from: PeerDraft): void => {
      from.allowedIps = from.allowedIps.filter((a) => formatCidr(a) !== formatCidr(cidr));
    };
    return {
      created,
      setPresharedKey: (key) => ((peer.presharedKey = key.slice()), say(`preshared_key ${toHex(key)}`)),
      setEndpoint: (endpoint: Endpoint) => ((peer.endpoint = endpoint), say("endpoint")),
      setPersistentKeepalive: (seconds) => ((peer.persistentKeepalive = seconds), say(`persistent_keepalive_interval ${seconds}`)),
      replaceAllowedIps: () => ((peer.allowedIps = []), say("replace_allowed_ips")),
      addAllowedIp: (cidr) => {
        // Looking at every peer costs too much in the tests that add 130,560.
        if (this.peers.size > 1) for (const other of this.peers.values()) without(cidr, other);
        peer.allowedIps.push(cidr);
        return say(`allowed_ip ${formatCidr(cidr)}`);
      },
      removeAllowedIp: (cidr) => (without(cidr, peer), say(`allowed_ip -${formatCidr(cidr)}`)),
      remove: () => (this.peers.delete(id), say("remove")),
      done: () => void say("done"),
    };
  }
}
