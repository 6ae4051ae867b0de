// What the fields of one packet may know beyond its bytes: the packet, the keys, its neighbours in the capture.
import type { Part } from "./part.ts";
import type { Secrets } from "../secrets.ts";
import type { TrackedPacket } from "../tracked.ts";

/** Names of the cluster for what is in a packet: our own fields k8s.pod and k8s.node. */
export type Labels = {
  /** Names of the pods that send or receive it. */
  pods(t: TrackedPacket): readonly string[];
  /** The same of nodes. */
  nodes(t: TrackedPacket): readonly string[];
};

export type Scope = {
  readonly tracked: TrackedPacket;
  readonly secrets: Secrets | undefined;
  /** Times in ns: of the first packet of the capture, of the one before this, of the one before this that was shown. */
  readonly first: bigint | undefined;
  readonly previous: bigint | undefined;
  readonly shown: bigint | undefined;
  /** Number of the pcapng section; undefined for pcap. */
  readonly section: number | undefined;
  /** Names of addresses that the file holds. */
  readonly names: ReadonlyMap<string, string> | undefined;
  readonly labels: Labels | undefined;
  /** frame.protocols. */
  protocols(): string;
  /** Where the payload of this IP header ends on the wire; beyond `end` when the packet was cut. */
  payloadEnd(p: Part): number;
  /** Where the IP packet or ARP ends that this link layer carries. */
  ends(p: Part): number | undefined;
};
