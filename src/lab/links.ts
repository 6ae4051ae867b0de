// The lab's network as text for iproute2 and sysctl: pure. The router's namespace is the lab's own; every veth pair is made from there or from a node, with
// its other end put straight into the namespace of a process, so no link is ever seen on the machine itself.
import { createHash } from "node:crypto";
import type { Model, NodeModel, PodModel } from "./model.ts";
import { WIRE } from "./model.ts";

/** What one namespace gets: lines for `ip -batch`, then values below /proc/sys/net. */
export type Setup = { readonly ip: readonly string[]; readonly sysctl: readonly (readonly [path: string, value: string | number])[] };

/** Calico's address of every host side of a pod's pair, and the gateway that pods route through. */
const HOST_SIDE_MAC = "ee:ee:ee:ee:ee:ee";
const POD_GATEWAY = "169.254.1.1";
/** Room for the WireGuard header: Calico's size for a cluster that may switch encryption on at any time. */
const POD_MTU = 1440;

// A new namespace inherits the machine's settings. Encrypted and plain packets of one flow may come in on different interfaces, so no reverse-path filter.
const forwarding = [
  ["ipv4/ip_forward", 1],
  ["ipv4/conf/all/rp_filter", 0],
  ["ipv4/conf/default/rp_filter", 0],
  ["ipv4/conf/all/send_redirects", 0],
  ["ipv4/conf/default/send_redirects", 0],
] as const;

/** Calico's name of the host side of a pod's pair: "cali" and 11 hex digits of SHA-1 of "namespace.pod". */
export const hostInterface = (pod: Pick<PodModel, "namespace" | "name">): string =>
  `cali${createHash("sha1").update(`${pod.namespace}.${pod.name}`).digest("hex").slice(0, 11)}`;

/** The router: one bridge a subnet, one pair a node. `pids`: the process that holds each node's namespace. */
export function routerSetup(model: Model, pids: ReadonlyMap<string, number>): Setup {
  const bridges = model.subnets.flatMap((s) => [
    `link add ${s.bridge} type bridge forward_delay 0 mcast_snooping 0`,
    `address add ${s.gateway}/${s.prefix} dev ${s.bridge}`,
    `link set ${s.bridge} up`,
  ]);
  const pairs = model.nodes.flatMap((n) => [
    `link add to-${n.name} type veth peer name ${WIRE} netns ${pids.get(n.name)}`,
    `link set to-${n.name} master ${n.subnet.bridge} up`,
  ]);
  return { ip: ["link set lo up", ...bridges, ...pairs], sysctl: forwarding };
}

export const nodeSetup = (node: NodeModel): Setup => ({
  ip: [
    "link set lo up",
    `address add ${node.address}/${node.subnet.prefix} dev ${WIRE}`,
    `link set ${WIRE} up`,
    `route add default via ${node.subnet.gateway} dev ${WIRE}`,
  ],
  sysctl: forwarding,
});

/** A pod's pair as Calico's CNI plugin makes it: the node's side answers ARP for the gateway, at once. */
export function podSetup(pod: PodModel & { readonly address: string; readonly pid: number }): { readonly node: Setup; readonly pod: Setup } {
  const host = hostInterface(pod);
  return {
    node: {
      ip: [
        `link add ${host} mtu ${POD_MTU} type veth peer name eth0 mtu ${POD_MTU} netns ${pod.pid}`,
        `link set ${host} address ${HOST_SIDE_MAC} up`,
        `route add ${pod.address}/32 dev ${host} scope link`,
      ],
      sysctl: [
        [`ipv4/conf/${host}/proxy_arp`, 1],
        [`ipv4/conf/${host}/rp_filter`, 0],
        // The kernel would wait up to 0.8 s before it answers for another.
        [`ipv4/neigh/${host}/proxy_delay`, 0],
      ],
    },
    pod: {
      ip: [
        "link set lo up",
        `address add ${pod.address}/32 dev eth0`,
        "link set eth0 up",
        `route add ${POD_GATEWAY} dev eth0 scope link`,
        `route add default via ${POD_GATEWAY} dev eth0`,
      ],
      sysctl: [["ipv4/conf/all/rp_filter", 0]],
    },
  };
}

/** Shell text that carries out a setup in the namespace it runs in. */
export const toScript = (setup: Setup): string =>
  ["ip -batch - <<'END'", ...setup.ip, "END", ...setup.sysctl.map(([path, value]) => `echo ${value} >/proc/sys/net/${path}`), ""].join("\n");
