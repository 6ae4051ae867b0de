// NodeEncryption of tortie.io/v1: what one node's agent sees on its device. Named as the node; only that node's agent writes it, through /status.
import type { Kind } from "./kind.ts";
import { noDefaults } from "./kind.ts";
import type { Resource } from "./meta.ts";
import { boolean, integer, list, object, resource, string, time } from "./schema.ts";

export type PeerReport = {
  /** Name of the peer's node. */
  node: string;
  /** Base64 of 32 bytes. */
  publicKey: string;
  /** "192.168.10.10:51820". */
  endpoint?: string;
  /** RFC 3339; absent: none yet. */
  latestHandshake?: string;
  rxBytes: number;
  txBytes: number;
};
export type NodeEncryptionStatus = {
  publicKey?: string;
  listenPort?: number;
  interface?: string;
  /** RFC 3339. */
  reportedAt: string;
  /** True when the device was read for this report. */
  watching: boolean;
  peers: PeerReport[];
  warnings: string[];
};
export type NodeEncryption = Resource & { status?: NodeEncryptionStatus };

export const NODE_ENCRYPTION: Kind<NodeEncryption> = {
  group: "tortie.io",
  version: "v1",
  kind: "NodeEncryption",
  plural: "nodeencryptions",
  singular: "nodeencryption",
  shortNames: ["ne"],
  namespaced: false,
  hasStatus: true,
  builtIn: false,
  categories: [],
  schema: resource("What one node's agent sees on its WireGuard device.", {
    status: object(
      "The report.",
      {
        publicKey: string("The node's own public key."),
        listenPort: integer("UDP port of the device.", 0, 65535),
        interface: string("Name of the device."),
        reportedAt: time("When the device was read."),
        watching: boolean("Whether the device was read."),
        peers: list(
          "Peers on the device.",
          object(
            "A peer.",
            {
              node: string("The peer's node."),
              publicKey: string("The peer's public key."),
              endpoint: string("Address and port of the peer."),
              latestHandshake: time("When the last handshake completed."),
              rxBytes: integer("Bytes received.", 0),
              txBytes: integer("Bytes sent.", 0),
            },
            ["node", "publicKey", "rxBytes", "txBytes"],
          ),
          { maxItems: 10_000 },
        ),
        warnings: list("What a person should know.", string("A warning."), { maxItems: 1000 }),
      },
      ["reportedAt", "watching", "peers", "warnings"],
    ),
  }),
  defaults: noDefaults,
  validate: () => [],
  columns: [
    { name: "Interface", type: "string", priority: 0, description: "The device.", value: (n) => n.status?.interface },
    { name: "Peers", type: "integer", priority: 0, description: "Peers on the device.", value: (n) => n.status?.peers.length },
    {
      name: "Up",
      type: "integer",
      priority: 0,
      description: "Peers with a completed handshake.",
      value: (n) => n.status?.peers.filter((p) => p.latestHandshake !== undefined).length,
    },
    { name: "Reported", type: "date", priority: 0, description: "Since the device was read.", value: (n) => n.status?.reportedAt },
    { name: "Public-Key", type: "string", priority: 1, description: "The node's public key.", value: (n) => n.status?.publicKey },
  ],
};
