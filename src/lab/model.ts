// The lab's cluster as data: four nodes in two subnets joined by a router, and their pods. Pure: nothing here touches the system. The addresses exist
// only inside the lab's own namespaces.

export type Subnet = {
  readonly name: string;
  /** The router's bridge for this subnet. */
  readonly bridge: string;
  /** The router's address on it: the nodes' gateway. */
  readonly gateway: string;
  readonly prefix: number;
};
export type NodeModel = { readonly name: string; readonly address: string; readonly subnet: Subnet };
export type PodModel = { readonly namespace: string; readonly name: string; readonly node: string };
export type Model = { readonly subnets: readonly Subnet[]; readonly nodes: readonly NodeModel[]; readonly pods: readonly PodModel[] };

/** Every node's interface towards its subnet: where its packets leave, and so where captures and audits look. */
export const WIRE = "ens5";
/** The pool that pods' addresses come from, cut into one block a node. */
export const POOL = { name: "default-ipv4-ippool", cidr: "172.16.0.0/16", blockSize: 24 } as const;
export const API = { address: "192.168.10.1", port: 6443 } as const;

const A: Subnet = { name: "A", bridge: "br-a", gateway: "192.168.10.1", prefix: 24 };
const B: Subnet = { name: "B", bridge: "br-b", gateway: "192.168.20.1", prefix: 24 };

/** The cluster of the exercise. */
export const CLUSTER: Model = {
  subnets: [A, B],
  nodes: [
    { name: "k8s-m", address: "192.168.10.10", subnet: A },
    { name: "k8s-w1", address: "192.168.10.101", subnet: A },
    { name: "k8s-w2", address: "192.168.10.102", subnet: A },
    { name: "k8s-w0", address: "192.168.20.100", subnet: B },
  ],
  pods: [
    { namespace: "default", name: "pod1", node: "k8s-w1" },
    { namespace: "default", name: "pod2", node: "k8s-w2" },
    { namespace: "default", name: "pod3", node: "k8s-w0" },
  ],
};
