// One set or tortie_handshake operation, line by line, on a device. Not transactional: what came before a bad line stays (as in wireguard-go); the
// lines after it are read and ignored, so that the connection stays in step.
import { wipe } from "../base/bytes.ts";
import { Errno, type KeylogRequest, type Outcome, type UapiDevice, type UapiPeer } from "./types.ts";
import { KEY_LENGTH } from "./types.ts";
import { ascii, decodeKey, parseAllowedIp, parseKey, parseNumber, parseUapiEndpoint } from "./values.ts";

const { EINVAL, EPROTO, OK } = Errno;

type Pair = { readonly name: string; readonly value: Uint8Array };
function split(line: Uint8Array): Pair | undefined {
  const at = line.indexOf(61);
  return at < 0 ? undefined : { name: ascii(line.subarray(0, at)), value: line.subarray(at + 1) };
}

const isTrue = (value: Uint8Array): boolean => ascii(value) === "true";
const number = (value: Uint8Array, max: number): number | undefined => parseNumber(ascii(value), max);

/** An operation in progress: lines until the empty one, then end(). */
export abstract class Operation {
  #failed: number = OK;
  /** Takes one line. The result is what to wait for; the first error is remembered and ends the effects. */
  line(line: Uint8Array): Promise<void> | undefined {
    if (this.#failed !== OK) return undefined;
    const outcome = this.step(split(line));
    if (typeof outcome !== "number") return outcome.then((n) => void (this.#failed = n));
    this.#failed = outcome;
    return undefined;
  }
  /** The operation's errno, 0 or positive. Also to be called when the connection broke off in the middle. */
  end(): Outcome {
    return this.finish(this.#failed);
  }
  protected abstract step(pair: Pair | undefined): Outcome;
  protected abstract finish(failed: number): Outcome;
}

/** set=1 */
export class SetOperation extends Operation {
  readonly #device: UapiDevice;
  readonly #cell: Uint8Array;
  /** The key of a public_key line whose peer is not selected yet: update_only or remove may follow at once. */
  #pending: Uint8Array | undefined;
  #peer: UapiPeer | undefined;
  /** A public_key line was seen: from here on only peers' keys count. */
  #inPeers = false;

  constructor(device: UapiDevice) {
    super();
    this.#device = device;
    this.#cell = device.keyCell ?? new Uint8Array(new ArrayBuffer(KEY_LENGTH));
  }

  protected step(pair: Pair | undefined): Outcome {
    if (!pair) return EPROTO;
    if (pair.name === "public_key") return this.#startPeer(pair.value);
    try {
      return this.#inPeers ? this.#peerLine(pair) : this.#deviceLine(pair);
    } finally {
      wipe(this.#cell);
    }
  }

  protected finish(failed: number): Outcome {
    const selected = failed === OK ? this.#select(false) : OK;
    this.#peer?.done();
    this.#peer = undefined;
    return failed === OK ? selected : failed;
  }

  #deviceLine({ name, value }: Pair): Outcome {
    const device = this.#device;
    switch (name) {
      case "private_key":
        return decodeKey(value, this.#cell) ? device.setPrivateKey(this.#cell) : EINVAL;
      case "listen_port": {
        const port = number(value, 0xffff);
        return port === undefined ? EINVAL : device.setListenPort(port);
      }
      case "fwmark": {
        const mark = number(value, 0xffffffff);
        return mark === undefined ? EINVAL : device.setFwmark(mark);
      }
      case "replace_peers":
        return isTrue(value) ? device.replacePeers() : EINVAL;
      default:
        return EINVAL;
    }
  }

  #startPeer(value: Uint8Array): number {
    const selected = this.#select(false);
    this.#peer?.done();
    this.#peer = undefined;
    this.#inPeers = true;
    if (selected !== OK) return selected;
    this.#pending = parseKey(value);
    return this.#pending ? OK : EINVAL;
  }

  /** Selects or creates the peer of the last public_key line, if that has not happened yet. */
  #select(updateOnly: boolean): number {
    if (!this.#pending) return OK;
    const peer = this.#device.peer(this.#pending, updateOnly);
    this.#pending = undefined;
    if (typeof peer === "number") return peer;
    this.#peer = peer;
    return OK;
  }

  #remove(): Outcome {
    const selected = this.#select(true); // removing never creates
    const peer = this.#peer;
    this.#peer = undefined;
    return selected === OK ? (peer?.remove() ?? OK) : selected;
  }

  #peerLine({ name, value }: Pair): Outcome {
    if (name === "update_only") {
      if (!isTrue(value)) return EINVAL;
      return this.#peer?.created ? this.#remove() : this.#select(true);
    }
    if (name === "remove") return isTrue(value) ? this.#remove() : EINVAL;
    // The value is judged before the peer is made, and also when the peer is one whose lines are ignored.
    const change = peerChange(name, value, this.#cell);
    if (!change) return EINVAL;
    const selected = this.#select(false);
    return selected === OK ? change(this.#peer) : selected;
  }
}

/** What a line does to the peer (undefined: one whose lines are ignored), or undefined when it is malformed. A secret key is decoded into `cell`. */
function peerChange(name: string, value: Uint8Array, cell: Uint8Array): ((peer: UapiPeer | undefined) => Outcome) | undefined {
  switch (name) {
    case "preshared_key":
      return decodeKey(value, cell) ? (peer) => peer?.setPresharedKey(cell) ?? OK : undefined;
    case "protocol_version":
      return ascii(value) === "1" ? () => OK : undefined;
    case "endpoint": {
      const endpoint = parseUapiEndpoint(ascii(value));
      return endpoint && ((peer) => peer?.setEndpoint(endpoint) ?? OK);
    }
    case "persistent_keepalive_interval": {
      const seconds = number(value, 0xffff);
      return seconds === undefined ? undefined : (peer) => peer?.setPersistentKeepalive(seconds) ?? OK;
    }
    case "replace_allowed_ips":
      return isTrue(value) ? (peer) => peer?.replaceAllowedIps() ?? OK : undefined;
    case "allowed_ip": {
      const change = parseAllowedIp(ascii(value));
      return change && ((peer) => (change.remove ? peer?.removeAllowedIp(change) : peer?.addAllowedIp(change)) ?? OK);
    }
    default:
      return undefined;
  }
}

/** More peers than anyone has; a longer list is refused. */
const MAX_NAMED = 65_536;

/** tortie_handshake=1 */
export class HandshakeOperation extends Operation {
  readonly #device: UapiDevice;
  readonly #keys: Uint8Array[] = [];
  constructor(device: UapiDevice) {
    super();
    this.#device = device;
  }
  protected step(pair: Pair | undefined): Outcome {
    if (!pair) return EPROTO;
    const key = pair.name === "public_key" ? parseKey(pair.value) : undefined;
    if (!key || this.#keys.length === MAX_NAMED) return EINVAL;
    this.#keys.push(key);
    return OK;
  }
  protected finish(failed: number): Outcome {
    return failed === OK ? this.#device.handshake(this.#keys) : failed;
  }
}

/** What stands behind tortie_keylog=1: `public_key` lines, `for=SECONDS`, `existing=true`. It does nothing: the request is for whoever streams then. */
export class KeylogOperation extends Operation {
  readonly #peers: Uint8Array[] = [];
  #seconds: number | undefined;
  #existing = false;

  get request(): KeylogRequest {
    return { peers: this.#peers, seconds: this.#seconds, existing: this.#existing };
  }
  protected step(pair: Pair | undefined): Outcome {
    if (!pair) return EPROTO;
    if (pair.name === "for") this.#seconds = number(pair.value, MAX_SECONDS) || undefined;
    else if (pair.name === "existing") this.#existing = isTrue(pair.value);
    else {
      const key = pair.name === "public_key" ? parseKey(pair.value) : undefined;
      if (!key || this.#peers.length === MAX_NAMED) return EINVAL;
      this.#peers.push(key);
      return OK;
    }
    return this.#seconds !== undefined || this.#existing ? OK : EINVAL;
  }
  protected finish(failed: number): Outcome {
    return failed;
  }
}
/** What a timer can wait. */
const MAX_SECONDS = 2_000_000;
