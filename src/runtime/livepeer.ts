// One peer of a live device, as the UAPI sees it during a set operation, and as it is shown.
import { isZero } from "../base/bytes.ts";
import type { Cidr } from "../base/cidr.ts";
import { interfaceIndex, interfaceName } from "../sys/ifindex.ts";
import { Errno, type Endpoint as UapiEndpoint, type Outcome, type PeerState, type UapiPeer } from "../uapi/types.ts";
import type { Device, Effect, Endpoint, Moment, Peer } from "../wireguard/index.ts";

/** No room for one more; not in wg(8)'s own list. */
export const ENOSPC = 28;

/** A peer as `get` shows it. */
export function peerState(peer: Peer): PeerState {
  const endpoint = peer.endpoint();
  const zone = endpoint?.scope ? { zone: interfaceName(endpoint.scope) } : {};
  return {
    publicKey: peer.publicKey,
    presharedKey: peer.presharedKey(),
    endpoint: endpoint && { ip: endpoint.ip, port: endpoint.port, ...zone },
    lastHandshakeSec: Math.floor(peer.lastHandshake / 1000),
    lastHandshakeNsec: Math.floor((peer.lastHandshake % 1000) * 1e6),
    txBytes: peer.txBytes(),
    rxBytes: peer.rxBytes(),
    persistentKeepalive: peer.persistentKeepalive,
    allowedIps: peer.allowedIps(),
  };
}

export type PeerParts = { readonly device: Device; readonly moment: () => Moment };

/** A peer while an operation configures it. Another connection may remove it meanwhile: then nothing is changed any more, as its place may be taken. */
export class LivePeer implements UapiPeer {
  readonly created: boolean;
  readonly #parts: PeerParts;
  readonly #peer: Peer;
  readonly #do: (effects: readonly Effect[]) => number;

  constructor(parts: PeerParts, peer: Peer, created: boolean, perform: (effects: readonly Effect[]) => number) {
    this.#parts = parts;
    this.#peer = peer;
    this.created = created;
    this.#do = perform;
  }

  #change(change: (device: Device, peer: Peer) => Outcome): Outcome {
    const { device } = this.#parts;
    return device.peer(this.#peer.publicKey) === this.#peer ? change(device, this.#peer) : Errno.ENOENT;
  }

  setPresharedKey(key: Uint8Array): Outcome {
    return this.#change((device, peer) => {
      device.setPresharedKey(peer, key);
      return Errno.OK;
    });
  }

  setEndpoint(endpoint: UapiEndpoint): Outcome {
    const scope = endpoint.zone === undefined ? 0 : interfaceIndex(endpoint.zone);
    if (scope === undefined || endpoint.port === 0 || isZero(endpoint.ip)) return Errno.EINVAL;
    const to: Endpoint = { ip: endpoint.ip, port: endpoint.port, scope };
    return this.#change((device, peer) => {
      device.setEndpoint(peer, to);
      return Errno.OK;
    });
  }

  setPersistentKeepalive(seconds: number): Outcome {
    return this.#change((device, peer) => this.#do(device.setPersistentKeepalive(peer, seconds, this.#parts.moment())));
  }

  replaceAllowedIps(): Outcome {
    return this.#change((device, peer) => {
      device.clearAllowedIps(peer);
      return Errno.OK;
    });
  }

  addAllowedIp(cidr: Cidr): Outcome {
    return this.#change((device, peer) => (device.addAllowedIp(peer, cidr) ? Errno.OK : ENOSPC));
  }

  removeAllowedIp(cidr: Cidr): Outcome {
    return this.#change((device, peer) => {
      device.removeAllowedIp(peer, cidr);
      return Errno.OK;
    });
  }

  remove(): Outcome {
    return this.#change((device, peer) => this.#do(device.removePeer(peer, this.#parts.moment())));
  }

  done(): void {
    void this.#change((device, peer) => this.#do(device.configured(peer, this.#parts.moment())));
  }
}
