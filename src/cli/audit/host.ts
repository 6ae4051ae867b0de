// This machine as a subject: its own WireGuard devices say who the peers are and what goes to them; its links come from the kernel. What is a pod's here is
// told by --pod-cidr: the machine's own ranges, and those of others that must go through a tunnel.
import { hostname } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { type Cidr, contains, covers, parseCidr } from "../../base/cidr.ts";
import { TortieError } from "../../base/errors.ts";
import { formatIp, parseEndpoint, parseIp } from "../../base/ip.ts";
import type { InventoryDocument, InventoryNode } from "../../capture/audit/inventory.ts";
import { installed } from "../../sys/exec.ts";
import { enter } from "../../sys/ns.ts";
import { connect, listInterfaces } from "../../uapi/client.ts";
import { type Member, newMarker, type Target } from "./canary.ts";
import { live, type LiveOptions, type Recorded } from "./live.ts";
import { type DeviceFact, type Look, look, Watcher } from "./observe.ts";
import { type Place, tortie } from "./place.ts";

export type HostOptions = LiveOptions & {
  /** Ranges of pods, of this machine and of others. */
  readonly podCidrs: readonly string[];
  /** Addresses of others that canaries are sent to. */
  readonly canary: readonly string[];
  /** A process in a pod: canaries are sent from its network namespace too. */
  readonly from?: number | undefined;
  readonly hostEncryption?: boolean | undefined;
};

/** Records an audit of this machine. Throws TortieError. */
export async function recordHost(options: HostOptions): Promise<Recorded> {
  const node = hostname();
  const place: Place = { node, enter: [], env: process.env };
  const wg = (await installed("wg")) ? ["wg"] : [...tortie(), "wg"];
  const now = await look(place, wg);
  if (now.devices.length === 0) {
    throw new TortieError("Cannot audit this machine: it has no WireGuard device", {
      hint: "`wg show` must list one; run this as root on the node itself.",
    });
  }
  const ranges = options.podCidrs.map((t) => parseCidr(t) ?? refuse(t));
  const document = documentOf(node, now, ranges, options.hostEncryption ?? false);
  const watcher = new Watcher(place, (l) => podLinks(l, ownRanges(l, ranges)), wg);
  const marker = newMarker();
  const nodeMarker = newMarker();
  const targets = options.canary.map((address): Target => {
    if (!parseIp(address)) throw new TortieError(`Cannot send a canary to "${address}": it is no address`);
    return { path: `pod to pod, ${address.includes(":") ? "IPv6" : "IPv4"}`, name: address, address, marker, listens: false, closed: true };
  });
  const members: Member[] = targets.length === 0 ? [] : [sender(place, now, ranges, targets, options.from)];
  const link = options.from === undefined ? undefined : [...podLinks(now, ownRanges(now, ranges))];
  return live(
    {
      name: `the host ${node}`,
      document,
      watchers: [watcher],
      marker,
      nodeMarker,
      members,
      senders: (link ?? []).map((l) => ({ node, link: l, what: `${l} of ${node}` })),
      handshakes: freshHandshakes,
      notProbed: [
        ...(["IPv4", "IPv6"] as const)
          .filter((family) => !options.canary.some((a) => a.includes(":") === (family === "IPv6")))
          .map((family) => `${family}: --canary names no address of that family to send to`),
        "services (ClusterIP, NodePort, LoadBalancer): --canary takes addresses of pods",
      ],
    },
    options,
  );
}

const refuse = (text: string): never => {
  throw new TortieError(`Cannot use "${text}" as a range of pods: it must be one such as 10.1.0.0/24`);
};

/** Of the ranges given those in which this machine has an address or a route of its own that leads to no tunnel. */
function ownRanges(now: Look, ranges: readonly Cidr[]): Cidr[] {
  const allowed = now.devices.flatMap((d) => d.peers.flatMap((p) => p.allowedIPs.flatMap((t) => parseCidr(t) ?? [])));
  return ranges.filter((r) => {
    // What a peer is sent is the peer's, however it is routed here; the most exact claim wins.
    if (allowed.some((a) => a.prefix > 0 && covers(a, r))) return false;
    return (
      now.addresses.some((a) => contains(r, parseIp(a.address)!)) ||
      now.routes.some((x) => x.dev !== undefined && x.type === undefined && isLocalRoute(x.dst, r))
    );
  });
}
const isLocalRoute = (dst: string, range: Cidr): boolean => {
  const cidr = parseCidr(dst);
  return cidr !== undefined && cidr.prefix > range.prefix && covers(range, cidr);
};

/** Links all of whose routes lead to this machine's own pods. */
function podLinks(now: Look, own: readonly Cidr[]): ReadonlySet<string> {
  const byLink = new Map<string, boolean>();
  const devices = new Set(now.devices.map((d) => d.name));
  for (const r of now.routes) {
    const cidr = parseCidr(r.dst);
    if (
      r.dev === undefined ||
      devices.has(r.dev) ||
      !cidr ||
      r.type === "multicast" ||
      r.type === "anycast" ||
      r.type === "broadcast" ||
      isLinkLocal(cidr)
    )
      continue;
    const isPods = own.some((o) => covers(o, cidr));
    if (r.type === "local" && !isPods) continue;
    byLink.set(r.dev, (byLink.get(r.dev) ?? true) && isPods);
  }
  return new Set([...byLink].filter(([name, pods]) => pods && now.links.find((l) => l.name === name)?.loopback === false).map(([name]) => name));
}
const isLinkLocal = (c: Cidr): boolean => (c.ip.length === 16 ? c.ip[0] === 0xfe || c.ip[0] === 0xff : c.ip[0] === 169 && c.ip[1] === 254);

function documentOf(node: string, now: Look, ranges: readonly Cidr[], hostEncryption: boolean): InventoryDocument {
  const own = ownRanges(now, ranges);
  const devices = new Set(now.devices.map((d) => d.name));
  const isPod = (t: string): boolean => own.some((o) => contains(o, parseIp(t)!));
  const ips = now.addresses.filter((a) => a.address !== "127.0.0.1" && a.address !== "::1");
  const self: InventoryNode = {
    name: node,
    ips: ips.filter((a) => !devices.has(a.dev) && !isPod(a.address)).map((a) => a.address),
    tunnelIPs: ips.filter((a) => devices.has(a.dev) || isPod(a.address)).map((a) => a.address),
    podCIDRs: own.map(text),
    wgPublicKey: now.devices.map((d) => d.publicKey).filter((k) => k !== "(none)"),
    wgPort: now.devices.map((d) => d.port).filter((p) => p > 0),
  };
  const peers = new Map<string, InventoryNode>();
  for (const d of now.devices) for (const p of d.peers) addPeer(peers, d, p);
  const theirs = ranges.filter((r) => !own.includes(r));
  return { wireguardPort: 51_820, hostEncryption, podCIDRs: theirs.map(text), nodes: [self, ...peers.values()], pods: [] };
}
const text = (c: Cidr): string => `${formatIp(c.ip)}/${c.prefix}`;

/** One address may have several devices, each with a key and a port of its own. */
function addPeer(peers: Map<string, InventoryNode>, device: DeviceFact, p: DeviceFact["peers"][number]): void {
  const endpoint = parseEndpoint(p.endpoint);
  const address = endpoint && formatIp(endpoint.ip);
  const key = address ?? p.publicKey;
  const known = peers.get(key);
  const ports = (known?.wgPort as number[] | undefined) ?? [];
  const port = endpoint?.port;
  peers.set(key, {
    name: address ?? `${device.name}:${p.publicKey.slice(0, 8)}`,
    ips: address === undefined ? [] : [address],
    podCIDRs: [...(known?.podCIDRs ?? []), ...p.allowedIPs],
    wgAllowedIPs: [...(known?.wgAllowedIPs ?? []), ...p.allowedIPs],
    wgPublicKey: [...((known?.wgPublicKey as string[] | undefined) ?? []), p.publicKey],
    ...(port === undefined && ports.length === 0 ? {} : { wgPort: [...ports, ...(port === undefined ? [] : [port])] }),
  });
}

function sender(place: Place, now: Look, ranges: readonly Cidr[], targets: Target[], pid: number | undefined): Member {
  if (pid !== undefined) return { name: `process ${pid}`, place: { ...place, enter: enter(pid, ["net"]) }, addresses: [], unbound: true, targets };
  const own = ownRanges(now, ranges);
  const address = now.addresses.find((a) => own.some((o) => contains(o, parseIp(a.address)!)));
  return { name: place.node, place, addresses: address ? [address.address] : [], unbound: !address, targets };
}

/** Of devices with a control socket. One of the kernel's cannot be asked without changing it: its old sessions stay unproven until they renew themselves. */
async function freshHandshakes(): Promise<void> {
  for (const name of await listInterfaces()) {
    try {
      const device = await connect(name);
      try {
        await device.handshake();
      } finally {
        device.close();
      }
    } catch {
      // A device that does not answer, or does not know the request: its traffic is judged all the same.
    }
  }
  await sleep(500);
}
