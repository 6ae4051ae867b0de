// The control that goes past the tunnel on purpose (section 7.7): a pods' packet in the clear that the audit itself sends by each wire. A capture that
// has it has no filter that hides such packets, and it must be found to be what it is. It goes to the address of the nearest bridge, which no bridge
// passes on, with one hop left: it gets no further than the cable, and no pod hears it.
import { equal, fromHex } from "../../base/bytes.ts";
import { ip, udp } from "../../packet/build.ts";
import type { Layer } from "../../packet/layer.ts";
import { podEnds } from "./control.ts";
import type { CapturedPacket } from "../packet.ts";
import type { Inventory } from "./inventory.ts";
import { payloadOf } from "./marker.ts";

/** "Nearest bridge" of IEEE 802.1Q, table 8-1. */
export const NEAREST_BRIDGE: Uint8Array = Uint8Array.of(0x01, 0x80, 0xc2, 0, 0, 0x0e);
const PORT = 40_406;
const LENGTH = 96;

/** An IP packet a family, from a pod's address to one of another node's; `marker`: random bytes that make them like no other packet. */
export function bypassPackets(inventory: Inventory, marker: Uint8Array): Uint8Array[] {
  return [4, 16].flatMap((family) => {
    const [a, b] = podEnds(inventory, family);
    if (!a || !b) return [];
    return [ip({ src: a.pod, dst: b.pod, protocol: 17, ttl: 1 }, udp(a.pod, b.pod, PORT, PORT, payloadOf(marker, LENGTH)))];
  });
}

/** What a cut copy must have to be known: the headers and half a marker. */
const ENOUGH = { 4: 20 + 8 + 16, 16: 40 + 8 + 16 } as const;

/** Knows the packets again, byte by byte as far as they were kept. */
export class Bypass {
  readonly #packets: readonly Uint8Array[];
  constructor(inventory: Inventory) {
    this.#packets = (inventory.canary?.bypass?.packets ?? []).map((hex) => fromHex(hex)!);
  }

  is({ data, originalLength }: Pick<CapturedPacket, "data" | "originalLength">, layers: readonly Layer[]): boolean {
    if (this.#packets.length === 0) return false;
    const [link, header] = layers;
    if (header?.kind !== "ipv4" && header?.kind !== "ipv6") return false;
    if (link?.kind === "ethernet" ? !equal(data.subarray(0, 6), NEAREST_BRIDGE) : link?.kind !== "cooked") return false;
    const packet = data.subarray(header.at);
    if (packet.length < ENOUGH[header.src.length as 4 | 16]) return false;
    return this.#packets.some((p) => p.length === originalLength - header.at && equal(p.subarray(0, packet.length), packet));
  }
}
