// Against floods of messages that belong to no session: while one lasts, the kernel drops them at our sockets (indexfilter.ts), which spares their way to the
// data workers. In quiet times there is no filter, and handshakes cost nothing more. An index is in the filter before the message leaves that tells the other
// side of it. What the kernel drops is counted as `socket_dropped`, where the device's own counters have `unknown_index` and `malformed`.
import { messageOf } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import type { Device } from "../wireguard/index.ts";
import { indexFilter } from "./indexfilter.ts";
import type { Filter, Group, Sockets } from "./sockets.ts";

/** Junk a second from which on a filter is worth it, and below which the flood may be over. */
const FLOOD = 10_000;
const CALM = 1000;
/** Milliseconds over which junk is counted, without and with a filter; how long it must have been calm; and when a filter that could not be had is tried again. */
const LOOK_MS = 250;
const LOOK_FILTERED_MS = 1000;
const CALM_MS = 10_000;
const AGAIN_MS = 60_000;

export class JunkFilter {
  readonly #device: Pick<Device, "drops" | "indices" | "indicesMade">;
  readonly #sockets: Pick<Sockets, "group" | "setFilter" | "dropped">;
  readonly #log: Log;
  /** The sockets that have a filter, and how many indices there had been when it was made. */
  #filtered: Group | undefined;
  #made = 0;
  /** When junk was last counted, and what it was; when it last was a flood; when a filter may be tried again. */
  #looked = 0;
  #seen = 0;
  #flooded = 0;
  #notBefore = 0;
  #complained = false;

  constructor(device: Pick<Device, "drops" | "indices" | "indicesMade">, sockets: Pick<Sockets, "group" | "setFilter" | "dropped">, log: Log) {
    this.#device = device;
    this.#sockets = sockets;
    this.#log = log;
  }

  /** Before handshake messages leave. */
  prepare(): void {
    if (this.#filtered && this.#device.indicesMade !== this.#made) this.#attach();
  }

  /** Once a turn; `now` in milliseconds. */
  look(now: number): void {
    const { group } = this.#sockets;
    if (this.#filtered && this.#filtered !== group) this.#attach();
    const passed = now - this.#looked;
    if (passed < (this.#filtered ? LOOK_FILTERED_MS : LOOK_MS)) return;
    const rate = (1000 * (this.#junk() - this.#seen)) / passed;
    this.#looked = now;
    if (rate >= CALM) this.#flooded = now;
    if (this.#filtered) {
      if (now - this.#flooded >= CALM_MS) this.off();
      else this.#attach(); // peers may be elsewhere by now, and indices gone
    } else if (rate >= FLOOD && group.length > 0 && now >= this.#notBefore) {
      if (this.#attach()) this.#log.info("a flood of messages of no session: the kernel drops them while it lasts", { perSecond: Math.round(rate) });
      else this.#notBefore = now + AGAIN_MS;
    }
    this.#seen = this.#junk();
  }

  // Full queues drop more than junk: that starts nothing.
  #junk(): number {
    const { unknown_index, malformed } = this.#device.drops();
    return unknown_index + malformed + (this.#filtered ? this.#sockets.dropped() : 0);
  }

  /** The sockets as they were. */
  off(): void {
    if (!this.#filtered) return;
    this.#filtered = undefined;
    this.#sockets.setFilter(undefined);
    this.#log.info("the kernel drops no messages any more", { dropped: this.#sockets.dropped() });
  }

  #attach(): boolean {
    const { indicesMade } = this.#device;
    try {
      const filter = this.#filter();
      if (!filter) throw new Error("there are too many sessions for a filter");
      this.#sockets.setFilter(filter);
    } catch (thrown) {
      if (!this.#complained)
        this.#log.warn("the kernel cannot drop a flood of messages of no session: they are dropped here", { why: messageOf(thrown) });
      this.#complained = true;
      this.#filtered ??= this.#sockets.group; // some may have one
      this.off();
      return false;
    }
    this.#filtered = this.#sockets.group;
    this.#made = indicesMade;
    return true;
  }

  #filter(): Filter | undefined {
    const indices = new Set<number>();
    const addresses = { 4: new Set<number>(), 6: new Set<number>() };
    for (const [index, peer] of this.#device.indices()) {
      indices.add(index);
      const ip = peer.endpoint()?.ip;
      if (ip) addresses[ip.length === 4 ? 4 : 6].add(new DataView(ip.buffer, ip.byteOffset).getUint32(ip.length - 4));
    }
    const v4 = indexFilter(4, indices, addresses[4]);
    const v6 = indexFilter(6, indices, addresses[6]);
    return v4 && v6 && { v4, v6 };
  }
}
