// Names of the cluster for the addresses in packets: k8s.pod and k8s.node.
import type { Inventory } from "../../capture/audit/inventory.ts";
import type { Labels } from "../../capture/fields/scope.ts";
import type { TrackedPacket } from "../../capture/tracked.ts";
import type { Layer } from "../../packet/layer.ts";

/** Whose the addresses in a packet are, outside and inside. */
export function labelsOf(inventory: Inventory): Labels {
  const owners = (t: TrackedPacket): { pods: string[]; nodes: string[] } => {
    const found = { pods: new Set<string>(), nodes: new Set<string>() };
    const layers: Layer[] = [...t.layers, ...(t.whole?.layers ?? []), ...t.messages.flatMap((m) => m.opened?.layers ?? [])];
    for (const l of layers) {
      if (l.kind !== "ipv4" && l.kind !== "ipv6") continue;
      for (const ip of [l.src, l.dst]) {
        const owner = inventory.owner(ip);
        if (owner.kind === "pod" && owner.pod) found.pods.add(owner.pod.name);
        if (owner.kind !== "other" && owner.node) found.nodes.add(owner.node.name);
      }
    }
    return { pods: [...found.pods], nodes: [...found.nodes] };
  };
  return { pods: (t) => owners(t).pods, nodes: (t) => owners(t).nodes };
}
