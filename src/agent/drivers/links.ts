// Lines that bring the agent's two links into shape. The WireGuard link is a persistent TUN: it stays, with its address and routes, when the device
// process dies, so that packets are dropped meanwhile and not routed in the clear.
import { TortieError } from "../../base/errors.ts";
import type { Link } from "../../sys/ip.ts";
import type { Encryption, Vxlan } from "../calc/types.ts";

/** Throws TortieError when a link of that name is something else: it is not ours to change. */
function ensureKind(link: Link | undefined, name: string, kind: string): void {
  if (link && link.kind !== kind)
    throw new TortieError(`Cannot use the interface "${name}": it exists and is no ${kind} but ${link.kind ?? "hardware"}`, {
      hint: "Remove it, or set another wireguardInterfaceName.",
    });
}

export function wireguardLink(links: readonly Link[], e: Encryption): string[] {
  const link = links.find((l) => l.name === e.interface);
  ensureKind(link, e.interface, "tun");
  return [
    ...(link ? [] : [`tuntap add dev ${e.interface} mode tun vnet_hdr`]),
    ...(link?.mtu === e.mtu && link.up ? [] : [`link set dev ${e.interface} mtu ${e.mtu} up`]),
  ];
}

/** What `ip -details -json` says of such a device. */
const vxlanData = (v: Vxlan): Record<string, unknown> => ({ id: v.vni, port: v.port, local: v.local, link: v.uplink, learning: false });
const isSame = (link: Link, v: Vxlan): boolean => Object.entries(vxlanData(v)).every(([name, value]) => link.data[name] === value);

export function vxlanLink(links: readonly Link[], v: Vxlan): string[] {
  const link = links.find((l) => l.name === v.interface);
  ensureKind(link, v.interface, "vxlan");
  const keep = link !== undefined && isSame(link, v);
  return [
    ...(link && !keep ? [`link del dev ${v.interface}`] : []),
    ...(keep
      ? []
      : [
          `link add ${v.interface} address ${v.mac} mtu ${v.mtu} type vxlan id ${v.vni} local ${v.local} dev ${v.uplink} dstport ${v.port} nolearning`,
          `link set dev ${v.interface} up`,
        ]),
    ...(keep && (link.mtu !== v.mtu || link.mac !== v.mac || !link.up)
      ? [`link set dev ${v.interface} address ${v.mac} mtu ${v.mtu}`, `link set dev ${v.interface} up`]
      : []),
  ];
}

/** The links after those lines were carried out: read again at the next full comparison only. */
export function shaped(links: readonly Link[], e: Encryption | undefined, v: Vxlan | undefined): Link[] {
  const made: Link[] = [
    ...(e ? [{ name: e.interface, up: true, mtu: e.mtu, kind: "tun", mac: undefined, data: {} }] : []),
    ...(v ? [{ name: v.interface, up: true, mtu: v.mtu, kind: "vxlan", mac: v.mac, data: vxlanData(v) }] : []),
  ];
  return [...links.filter((l) => !made.some((m) => m.name === l.name)), ...made];
}
