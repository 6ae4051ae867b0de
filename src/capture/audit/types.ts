// The words of the audit: classes of packets, causes, verdicts, preconditions (sections 7.4 to 7.10).
import type { Ip } from "../../base/ip.ts";

export type PacketClass =
  | "WG_HANDSHAKE"
  | "WG_DATA"
  | "WG_KEEPALIVE"
  | "WG_COOKIE"
  /** A datagram on WireGuard's port between nodes that is no WireGuard, or a handshake that is not for the node that it goes to. */
  | "WG_PORT_ABUSE"
  | "POD_TO_POD"
  /** Between nodes' addresses, but a pod's by the NAT table. */
  | "NATTED_POD"
  | "NODE_TO_POD"
  | "POD_EXTERNAL"
  /** An ICMP error that quotes a pods' packet. */
  | "ICMP_QUOTE"
  /** ARP, neighbour discovery and multicast, inside an overlay. */
  | "OVERLAY_CONTROL"
  | "LINK_CONTROL"
  | "CONTROL"
  /** The audit's own: a pods' packet in the clear that it sent by a wire on purpose. */
  | "AUDIT_CONTROL"
  | "OTHER_NODE"
  | "ENCRYPTED_OTHER"
  /** Neither end is the cluster's. */
  | "EXTERNAL"
  /** It could not be walked to its end: nothing is known of it, so nothing is proven while there is one. */
  | "UNKNOWN";

export type Cause =
  | "ENCRYPTION_OFF"
  | "OVERLAY_BYPASS"
  | "ICMP_ERROR"
  | "FAMILY_GAP"
  | "PEER_NO_KEY"
  | "PEER_NOT_CONFIGURED"
  | "TUNNEL_NOT_UP"
  | "NEW_ENDPOINT_RACE"
  | "ROUTE_BYPASS"
  | "HOST_NETWORK"
  | "PROXY"
  | "NAT"
  | "UNASSIGNED_IP"
  | "NOT_WIREGUARD"
  /** The canary's marker was readable, and no rule names the packet. */
  | "MARKER"
  | "UNKNOWN";

/** "unrecognised": found by its header, in an encapsulation that is not known. */
export type Encapsulation = "vxlan" | "geneve" | "ipip" | "6in4" | "gre" | "unrecognised";

export type Flow = { readonly src: Ip; readonly dst: Ip; readonly protocol: number; readonly srcPort: number; readonly dstPort: number };

/** What a readable or protected payload looks like; `sample`: its first 64 bytes with letters and digits made unreadable. */
export type Hint = { readonly what: string; readonly protected: boolean; readonly sample?: string };

/** What a frame is. */
export type Classified = {
  readonly class: PacketClass;
  readonly path: readonly Encapsulation[];
  /** Of the innermost IP packet that decided. */
  readonly flow: Flow | undefined;
  /** Bytes that count: inner IP length of plaintext, payload without WireGuard's own of encrypted data. */
  readonly bytes: number;
  /** WireGuard messages in the frame (more than one in a super-datagram). */
  readonly messages: number;
  /** WireGuard that is shown to be so: a handshake whose mac1 verifies, data of an index that such a handshake announced. */
  readonly proven: boolean;
  /** Data whose tags were checked with keys. */
  readonly authenticated: boolean;
  /** A later fragment of a packet that was classified by its first one or by its addresses. */
  readonly fragment: boolean;
  /** Remarks: why a WG_PORT_ABUSE is one, what an UNKNOWN stopped at, whose a translated flow is. */
  readonly note?: string;
  readonly hint?: Hint;
};

/** A classification with nothing special about it. */
export const result = (c: PacketClass, path: readonly Encapsulation[], flow: Flow | undefined, bytes: number, note?: string): Classified => ({
  class: c,
  path: [...path],
  flow,
  bytes,
  messages: 0,
  proven: false,
  authenticated: false,
  fragment: false,
  ...(note === undefined ? {} : { note }),
});

/** Classes that fail an audit by themselves. NODE_TO_POD does where encryption between nodes and pods is claimed. */
export const FINDINGS: ReadonlySet<PacketClass> = new Set(["POD_TO_POD", "NATTED_POD", "ICMP_QUOTE", "WG_PORT_ABUSE"]);

/** INCONCLUSIVE: the capture cannot support a proof; the preconditions say what is missing. */
export type Verdict = "PASS" | "FAIL" | "INCONCLUSIVE";
/** Exit codes of `tortie audit`. */
export const EXIT_CODES: Readonly<Record<Verdict, 0 | 2 | 3>> = { PASS: 0, FAIL: 2, INCONCLUSIVE: 3 };

/** "trusted": it could not be checked, and whoever asked for the audit vouched for it; the report says so. */
export type PreconditionState = "ok" | "missing" | "trusted";
export type PreconditionId = "P1" | "P2" | "P3" | "P4" | "P5" | "P6" | "P7" | "P8" | "P9";
export type Precondition = { readonly id: PreconditionId; readonly what: string; readonly state: PreconditionState; readonly evidence: string };

/** What must hold for a proof, in the order of section 7.4. */
export const PRECONDITIONS: Readonly<Record<PreconditionId, string>> = {
  P1: "every interface that leads off a node is captured",
  P2: "no capture filter",
  P3: "no packet lost by the capture",
  P4: "enough of every packet to walk it to its end",
  P5: "each packet's interface is known",
  P6: "the cluster is known for the whole window",
  P7: "nothing goes past the capture (XDP, AF_XDP, SR-IOV, offload)",
  P8: "the captures' clocks fit the inventory",
  P9: "marked packets were sent over every path, seen where they must be, and the detector fires",
};
