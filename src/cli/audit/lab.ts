// The running lab as a subject: captures on every node's wires while every pod and node sends canaries to all the others.
import { setTimeout as sleep } from "node:timers/promises";
import { fromBase64 } from "../../base/bytes.ts";
import { compareIp } from "../../base/ip.ts";
import type { InventoryDocument } from "../../capture/audit/inventory.ts";
import { enterMember, environment, type LabPod, requireLab, type RunningLab } from "../../lab/enter.ts";
import { forceHandshake } from "../../lab/exercise/devices.ts";
import { documentOfCluster } from "./inventory.ts";
import { live, type LiveOptions, type LiveSubject, type Recorded } from "./live.ts";
import { type Member, newMarker, type Target } from "./canary.ts";
import { completed, isGlobal } from "./complete.ts";
import { look, Watcher } from "./observe.ts";
import { type Place, runIn } from "./place.ts";

/** With the addresses that it really has. */
type FoundLabPod = LabPod & { readonly addresses: readonly string[] };

/** Records an audit of the lab. Throws TortieError when there is none. */
export async function recordLab(options: LiveOptions & { kubeconfig?: string | undefined }): Promise<Recorded> {
  const lab = requireLab();
  const told = await documentOfCluster(
    options.kubeconfig === undefined ? { env: { TORTIE_SOCKET: lab.apiSocket } } : { kubeconfig: options.kubeconfig },
  );
  const place = (member: { readonly name: string; readonly pid: number }): Place => ({
    node: member.name,
    enter: enterMember(lab, member),
    env: environment(process.env),
  });
  const watchers = lab.nodes.map((n) => {
    const pods = new Set(lab.pods.filter((p) => p.node === n.name).map((p) => p.hostInterface));
    return new Watcher(place(n), () => pods);
  });
  const pods = await Promise.all(lab.pods.map(async (p) => ({ ...p, addresses: await addressesOf(place(p)) })));
  const looks = await Promise.all(lab.nodes.map((n) => look(place(n))));
  const nodes = looks.map((l, i) => {
    const node = lab.nodes[i]!.name;
    return { node, look: l, podLinks: new Set(lab.pods.filter((p) => p.node === node).map((p) => p.hostInterface)) };
  });
  const document = completed(
    told,
    nodes,
    pods.map((p) => ({ name: `${p.namespace}/${p.name}`, node: p.node, addresses: p.addresses })),
  );
  const [marker, nodeMarker] = [newMarker(), newMarker()];
  const subject: LiveSubject = {
    name: "the lab",
    document,
    watchers,
    marker,
    nodeMarker,
    members: membersOf(lab, pods, document, marker, nodeMarker),
    senders: lab.pods.map((p) => ({ node: p.node, link: p.hostInterface, what: `${p.hostInterface} of ${p.node} (${p.name})` })),
    handshakes: () => freshHandshakes(lab, document),
    notProbed: notProbed(pods, document),
  };
  return live(subject, options);
}

/** Of all its links, without those that never leave it. */
async function addressesOf(pod: Place): Promise<string[]> {
  const links = JSON.parse(await runIn(pod, "ip", "-json", "address", "show")) as { addr_info?: { local?: string }[] }[];
  return links.flatMap((l) => (l.addr_info ?? []).flatMap((a) => (a.local !== undefined && isGlobal(a.local) ? [a.local] : [])));
}

/** Which paths of section 7.7 there are none of here. */
function notProbed(pods: readonly FoundLabPod[], document: InventoryDocument): string[] {
  const six = (addresses: readonly string[]): boolean => addresses.some((a) => a.includes(":"));
  const withSix = new Set(pods.filter((p) => six(p.addresses)).map((p) => p.node));
  return [
    ...(withSix.size === 0
      ? ["IPv6 between pods: no pod of this cluster has an IPv6 address"]
      : withSix.size === 1
        ? [`IPv6 between pods: only pods of ${[...withSix].join()} have IPv6 addresses`]
        : []),
    `IPv6 between pods and nodes: ${document.nodes.some((n) => six(n.ips)) ? "no canary of that family is sent to nodes" : "no node of this cluster has an IPv6 address"}`,
    "services (ClusterIP, NodePort, LoadBalancer, headless names): this cluster has none",
  ];
}

/** Pods send to all pods of other nodes, to the other nodes and to their tunnel addresses; nodes to all pods of other nodes. */
function membersOf(lab: RunningLab, pods: readonly FoundLabPod[], document: InventoryDocument, marker: Buffer, nodeMarker: Buffer): Member[] {
  const subnet = (name: string): string =>
    lab.nodes
      .find((n) => n.name === name)!
      .address.split(".")
      .slice(0, 3)
      .join(".");
  const toPods = (node: string, mark: Buffer, kind: string, wanted: (address: string) => boolean): Target[] =>
    pods
      .filter((p) => p.node !== node)
      .flatMap((p) =>
        p.addresses.filter(wanted).map((address) => ({
          path: `${kind}${address.includes(":") ? ", IPv6" : ""}, ${subnet(node) === subnet(p.node) ? "one subnet" : "across the router"}`,
          name: p.name,
          address,
          marker: mark,
          listens: true,
          closed: mark === marker,
        })),
      );
  const toNodes = (node: string): Target[] =>
    document.nodes
      .filter((n) => n.name !== node)
      .map((n) => ({ path: "pod to node", name: n.name, address: n.ips[0]!, marker: nodeMarker, listens: true, closed: false }));
  return [
    ...pods.map((p) => ({
      name: p.name,
      place: { node: p.node, enter: enterMember(lab, p), env: environment(process.env) },
      addresses: p.addresses,
      targets: [
        ...toPods(p.node, marker, "pod to pod", (to) => p.addresses.some((own) => own.includes(":") === to.includes(":"))),
        ...toNodes(p.node),
      ],
    })),
    ...lab.nodes.map((n) => ({
      name: n.name,
      place: { node: n.name, enter: enterMember(lab, n), env: environment(process.env) },
      addresses: [n.address],
      // To pods it speaks with the address of its tunnel device.
      unbound: true,
      seenAs: [n.address, ...(document.nodes.find((x) => x.name === n.name)?.tunnelIPs ?? [])],
      targets: toPods(n.name, nodeMarker, "node to pod", (to) => !to.includes(":")),
    })),
  ];
}

/** New sessions at the start, so that every data message's index is announced within the window. One side of each pair asks: the lower key. */
async function freshHandshakes(lab: RunningLab, document: InventoryDocument): Promise<void> {
  if (document.encryption === false) return;
  const keys = document.nodes.flatMap((n) => (typeof n.wgPublicKey === "string" ? [{ name: n.name, key: fromBase64(n.wgPublicKey)! }] : []));
  for (const node of lab.nodes) {
    const own = keys.find((k) => k.name === node.name)?.key;
    const higher = own ? keys.filter((k) => compareIp(own, k.key) < 0).map((k) => k.key) : [];
    // A device that does not answer is no reason to stop: its traffic is judged all the same.
    if (higher.length > 0) await forceHandshake(lab, node, higher).catch(() => {});
  }
  await sleep(300);
}
