// What a client reads: the answer to get, and the errno that ends every answer. Never trusts the device: bounded lines, unknown keys are skipped.
import { wipe } from "../base/bytes.ts";
import { type Draft, newPeer, type PeerDraft } from "./draft.ts";
import type { DeviceState, Endpoint } from "./types.ts";
import { ascii, parseAllowedIp, parseCounter, parseKey, parseNumber, parseUapiEndpoint } from "./values.ts";

type StateDraft = Draft<Omit<DeviceState, "peers">> & { peers: PeerDraft[] };
export type Reply = { readonly errno: number; readonly state: StateDraft };

/** Reads one answer line by line; end() after the empty line. */
export class ReplyReader {
  readonly #state: StateDraft = { listenPort: 0, fwmark: 0, peers: [] };
  #peer: PeerDraft | undefined;
  #errno: number | undefined;
  #malformed: string | undefined;

  line(line: Uint8Array): void {
    const at = line.indexOf(61);
    const name = ascii(line.subarray(0, Math.max(at, 0)));
    const good = at > 0 && this.#take(name, line.subarray(at + 1));
    if (!good) this.#malformed ??= name;
  }

  /** The answer, or what was malformed in it. */
  end(): Reply | { readonly malformed: string } {
    if (this.#errno === undefined) return { malformed: "no errno" };
    if (this.#malformed !== undefined && this.#errno === 0) return { malformed: this.#malformed };
    return { errno: this.#errno, state: this.#state };
  }

  /** Forgets the secrets that came so far. */
  wipe(): void {
    wipe(this.#state.privateKey, ...this.#state.peers.map((p) => p.presharedKey));
  }

  #take(name: string, value: Uint8Array): boolean {
    if (name === "errno") {
      const n = parseNumber(ascii(value).replace(/^-/, ""), 0x7fffffff);
      this.#errno = n;
      return n !== undefined;
    }
    if (name === "public_key") {
      const key = parseKey(value);
      if (key) this.#state.peers.push((this.#peer = newPeer(key)));
      return key !== undefined;
    }
    return this.#peer ? takePeer(this.#peer, name, value) : takeDevice(this.#state, name, value);
  }
}

function put<T>(value: T | undefined, use: (value: T) => void): boolean {
  if (value === undefined) return false;
  use(value);
  return true;
}

function takeDevice(state: StateDraft, name: string, value: Uint8Array): boolean {
  switch (name) {
    case "private_key":
      return put(parseKey(value), (v) => (state.privateKey = v));
    case "listen_port":
      return put(parseNumber(ascii(value), 0xffff), (v) => (state.listenPort = v));
    case "fwmark":
      return put(parseNumber(ascii(value), 0xffffffff), (v) => (state.fwmark = v));
    case "tortie_keylog":
      return put(parseNumber(ascii(value), 0xffff), (readers) => (state.keylog = { readers, records: state.keylog?.records ?? 0 }));
    case "tortie_keylog_records":
      return put(parseNumber(ascii(value), Number.MAX_SAFE_INTEGER), (records) => (state.keylog = { readers: state.keylog?.readers ?? 0, records }));
    default:
      return true;
  }
}

function takePeer(peer: PeerDraft, name: string, value: Uint8Array): boolean {
  switch (name) {
    case "preshared_key":
      return put(parseKey(value), (v) => (peer.presharedKey = v));
    case "endpoint":
      return put<Endpoint>(parseUapiEndpoint(ascii(value)), (v) => (peer.endpoint = v));
    case "last_handshake_time_sec":
      return put(parseNumber(ascii(value), Number.MAX_SAFE_INTEGER), (v) => (peer.lastHandshakeSec = v));
    case "last_handshake_time_nsec":
      return put(parseNumber(ascii(value), 999_999_999), (v) => (peer.lastHandshakeNsec = v));
    case "tx_bytes":
      return put(parseCounter(ascii(value)), (v) => (peer.txBytes = v));
    case "rx_bytes":
      return put(parseCounter(ascii(value)), (v) => (peer.rxBytes = v));
    case "persistent_keepalive_interval":
      return put(parseNumber(ascii(value), 0xffff), (v) => (peer.persistentKeepalive = v));
    case "allowed_ip":
      return put(parseAllowedIp(ascii(value)), (v) => peer.allowedIps.push(v));
    default:
      return true;
  }
}
