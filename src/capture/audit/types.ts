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
  | "NODE_TO_POD"
  | "POD_EXTERNAL"
  /** An ICMP error that quotes a pods' packet. */
  | "ICMP_QUOTE"
  /** ARP, neighbour discovery and multicast, inside an overlay. */
  | "OVERLAY_CONTROL"
  | "LINK_CONTROL"
  | "CONTROL"
  | "OTHER_NODE"
  | "ENCRYPTED_OTHER"
  /** Neither end is the cluster's. */
  | "EXTERNAL"
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
  | "NOT_WIREGUARD"
  | "UNKNOWN";

export type Encapsulation = "vxlan" | "geneve" | "ipip" | "6in4" | "gre";

export type Flow = { readonly src: Ip; readonly dst: Ip; readonly protocol: number; readonly srcPort: number; readonly dstPort: number };

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
  /** A later fragment of a packet that was classified by its first one or by its addresses. */
  readonly fragment: boolean;
  /** Why a WG_PORT_ABUSE is one. */
  readonly abuse?: string;
  /** "payload readable (HTTP)", "payload protected (TLS)". */
  readonly hint?: string;
};

/** A classification with nothing special about it. */
export const result = (c: PacketClass, path: readonly Encapsulation[], flow: Flow | undefined, bytes: number): Classified => ({
  class: c,
  path: [...path],
  flow,
  bytes,
  messages: 0,
  proven: false,
  fragment: false,
});

export const FINDINGS: ReadonlySet<PacketClass> = new Set(["POD_TO_POD", "ICMP_QUOTE", "WG_PORT_ABUSE"]);

export type Verdict = "PASS" | "FAIL" | "INCONCLUSIVE";
export const EXIT_CODES: Readonly<Record<Verdict, 0 | 2 | 3>> = { PASS: 0, FAIL: 2, INCONCLUSIVE: 3 };

/** "trusted": nobody can see it from here; what was given is believed, and the report says so. */
export type PreconditionState = "ok" | "missing" | "trusted";
export type Precondition = { readonly id: string; readonly what: string; readonly state: PreconditionState; readonly evidence: string };
