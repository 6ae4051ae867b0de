// The running lab as a subject: captures on every node's wires while every pod and node sends canaries to all the others.
import { setTimeout as sleep } from "node:timers/promises";
import { fromBase64 } from "../../base/bytes.ts";
import { compareIp } from "../../base/ip.ts";
import type { InventoryDocument } from "../../capture/audit/inventory.ts";
import { enterMember, environment, type LabNode, requireLab, type RunningLab } from "../../lab/enter.ts";
import { forceHandshake } from "../../lab/exercise/devices.ts";
import { documentOfCluster } from "./inventory.ts";
import { live, type LiveOptions, type LiveSubject, type Recorded } from "./live.ts";
import { type Member, newMarker, type Target } from "./canary.ts";
import { Watcher } from "./observe.ts";
import type { Place } from "./place.ts";

/** Records an audit of the lab. Throws TortieError when there is none. */
export async function recordLab(options: LiveOptions & { kubeconfig?: string | undefined }): Promise<Recorded> {
  const lab = requireLab();
  const document = await documentOfCluster(
    options.kubeconfig === undefined ? { env: { TORTIE_SOCKET: lab.apiSocket } } : { kubeconfig: options.kubeconfig },
  );
  const place = (member: LabNode): Place => ({ node: member.name, enter: enterMember(lab, member), env: environment(process.env) });
  const watchers = lab.nodes.map((n) => {
    const pods = new Set(lab.pods.filter((p) => p.node === n.name).map((p) => p.hostInterface));
    return new Watcher(place(n), () => pods);
  });
  const [marker, nodeMarker] = [newMarker(), newMarker()];
  const subject: LiveSubject = {
    name: "the lab",
    document,
    watchers,
    marker,
    nodeMarker,
    members: membersOf(lab, document, marker, nodeMarker),
    senders: lab.pods.map((p) => ({ node: p.node, link: p.hostInterface, what: `${p.hostInterface} of ${p.node} (${p.name})` })),
    handshakes: () => freshHandshakes(lab, document),
    remarks: lab.pods.some((p) => p.address.includes(":")) ? [] : ["IPv6: no pod has an IPv6 address, so no path of that family was exercised"],
  };
  return live(subject, options);
}

/** Pods send to all pods of other nodes, to the other nodes and to their tunnel addresses; nodes to all pods of other nodes. */
function membersOf(lab: RunningLab, document: InventoryDocument, marker: Buffer, nodeMarker: Buffer): Member[] {
  const pods = lab.pods.filter((p) => p.address !== "");
  const subnet = (name: string): string =>
    lab.nodes
      .find((n) => n.name === name)!
      .address.split(".")
      .slice(0, 3)
      .join(".");
  const toPods = (node: string, mark: Buffer, kind: string): Target[] =>
    pods
      .filter((p) => p.node !== node)
      .map((p) => ({
        path: `${kind}, ${subnet(node) === subnet(p.node) ? "one subnet" : "across the router"}`,
        name: p.name,
        address: p.address,
        marker: mark,
        listens: true,
        closed: mark === marker,
      }));
  const toNodes = (node: string): Target[] =>
    document.nodes
      .filter((n) => n.name !== node)
      .map((n) => ({ path: "pod to node", name: n.name, address: n.ips[0]!, marker: nodeMarker, listens: true, closed: false }));
  return [
    ...pods.map((p) => ({
      name: p.name,
      place: { node: p.node, enter: enterMember(lab, p), env: environment(process.env) },
      addresses: [p.address],
      targets: [...toPods(p.node, marker, "pod to pod"), ...toNodes(p.node)],
    })),
    ...lab.nodes.map((n) => ({
      name: n.name,
      place: { node: n.name, enter: enterMember(lab, n), env: environment(process.env) },
      addresses: [n.address],
      // To pods it speaks with the address of its tunnel device.
      unbound: true,
      seenAs: [n.address, ...(document.nodes.find((x) => x.name === n.name)?.tunnelIPs ?? [])],
      targets: toPods(n.name, nodeMarker, "node to pod"),
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
