// The node's tunnel addresses: taken from IPAM when a tunnel needs one, checked against it after a start or a change of pools, given back when the tunnel
// is switched off. Handles and attributes are Calico's, so that its tools know these addresses.
import { createHash } from "node:crypto";
import { ANNOTATION } from "../api/node-annotations.ts";
import { type Backoff, delay } from "../base/backoff.ts";
import { messageOf } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import type { Client } from "../client/types.ts";
import { assign, release } from "./ipam/ipam.ts";
import type { Publisher } from "./publisher.ts";

export type Tunnel = "wireguard" | "vxlan";
const KINDS: Readonly<Record<Tunnel, { type: string; annotation: string }>> = {
  wireguard: { type: "wireguardTunnelAddress", annotation: ANNOTATION.interfaceIPv4Address },
  vxlan: { type: "vxlanTunnelAddress", annotation: ANNOTATION.ipv4VXLANTunnelAddr },
};
const RETRY: Backoff = { firstMs: 250, maxMs: 10_000, factor: 2, jitter: 0.5 };

/** "wireguard-tunnel-addr-k8s-w1". */
export const tunnelHandle = (tunnel: Tunnel, node: string): string => `${tunnel}-tunnel-addr-${node}`;

/** Hardware address of a node's VXLAN device: the same at every start, locally administered. */
export function vxlanMac(node: string): string {
  const digest = createHash("sha256").update(node).digest();
  return ["66", ...[...digest.subarray(0, 5)].map((b) => b.toString(16).padStart(2, "0"))].join(":");
}

/** Keeps one tunnel's address. */
class TunnelAddress {
  readonly #tunnel: Tunnel;
  readonly #owner: TunnelAddresses;
  /** For what the address was last settled: "off", or the pools it was checked against. */
  #settled: string | undefined;
  #goal = "";
  #running = false;
  #attempt = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(tunnel: Tunnel, owner: TunnelAddresses) {
    this.#tunnel = tunnel;
    this.#owner = owner;
  }

  aim(goal: string): void {
    this.#goal = goal;
    if (!this.#running && !this.#timer && this.#settled !== goal) void this.#work();
  }
  close(): void {
    clearTimeout(this.#timer);
  }

  async #work(): Promise<void> {
    this.#running = true;
    try {
      while (this.#settled !== this.#goal) {
        const goal = this.#goal;
        await this.#owner.settle(this.#tunnel, goal !== "off");
        this.#settled = goal;
        this.#attempt = 0;
      }
    } catch (thrown) {
      this.#owner.log.warn("cannot settle the tunnel address, trying again", { tunnel: this.#tunnel, error: messageOf(thrown) });
      this.#timer = setTimeout(
        () => {
          this.#timer = undefined;
          this.aim(this.#goal);
        },
        delay(RETRY, this.#attempt++, Math.random()),
      );
    } finally {
      this.#running = false;
    }
  }
}

export class TunnelAddresses {
  readonly log: Log;
  readonly #client: Client;
  readonly #node: string;
  readonly #publisher: Publisher;
  readonly #mac: string;
  readonly #tunnels: Readonly<Record<Tunnel, TunnelAddress>>;

  constructor(options: { client: Client; node: string; log: Log; publisher: Publisher }) {
    this.#client = options.client;
    this.#node = options.node;
    this.log = options.log;
    this.#publisher = options.publisher;
    this.#mac = vxlanMac(options.node);
    this.#tunnels = { wireguard: new TunnelAddress("wireguard", this), vxlan: new TunnelAddress("vxlan", this) };
  }

  /** `pools` is any text that changes when the usable pools may have changed: addresses are then checked again. */
  want(wanted: Readonly<Record<Tunnel, boolean>>, pools: string): void {
    for (const tunnel of ["wireguard", "vxlan"] as const) this.#tunnels[tunnel].aim(wanted[tunnel] ? `on ${pools}` : "off");
  }

  async settle(tunnel: Tunnel, on: boolean): Promise<void> {
    const { type, annotation } = KINDS[tunnel];
    const handle = tunnelHandle(tunnel, this.#node);
    let address: string | undefined;
    if (on) ({ address } = await assign(this.#client, { node: this.#node, handle, use: "Tunnel", attributes: { node: this.#node, type } }));
    else await release(this.#client, handle);
    const mac = tunnel === "vxlan" ? { [ANNOTATION.vxlanTunnelMACAddr]: on ? this.#mac : undefined } : {};
    this.#publisher.want({ [annotation]: address, ...mac });
  }

  close(): void {
    for (const t of Object.values(this.#tunnels)) t.close();
  }
}
