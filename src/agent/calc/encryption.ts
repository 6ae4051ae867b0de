// The encrypting half of the desired state: peers, and the private table that leads to them. What belongs to a node that is a peer goes to the device;
// everything else known goes back ("throw") to ordinary routing.
import type { FelixConfiguration } from "../../api/felixconfiguration.ts";
import { type Config, configOf } from "./config.ts";
import type { NodeFacts } from "./facts.ts";
import type { KeyVerdict } from "./keys.ts";
import { hostMtu, wireguardMtu } from "./mtu.ts";
import { comparePrefixes, type Owned, widest } from "./ownership.ts";
import { type Encryption, type Facts, type Peer, PROTOCOL_BOOT, type Route } from "./types.ts";

export type EncryptionInputs = {
  readonly node: string;
  readonly config: Config;
  readonly felixConfigurations: readonly FelixConfiguration[];
  readonly nodes: readonly NodeFacts[];
  readonly verdicts: ReadonlyMap<string, KeyVerdict>;
  readonly owned: readonly Owned[];
  readonly facts: Facts;
};

function peersOf(i: EncryptionInputs): Peer[] {
  return i.nodes
    .flatMap((n): Peer[] => {
      const verdict = i.verdicts.get(n.name);
      if (verdict?.kind !== "usable" || n.address === undefined) return [];
      return [
        {
          node: n.name,
          publicKey: verdict.publicKey,
          // The port of the peer's own configuration: a node may differ by its node.<name> resource, or one that selects it.
          endpoint: { address: n.address, port: configOf(i.felixConfigurations, n).listenPort },
          allowedIps: i.owned.filter((o) => o.node === n.name).map((o) => o.cidr),
        },
      ];
    })
    .sort((a, b) => (a.node < b.node ? -1 : 1));
}

/** undefined when no table or no mark is left to steer by. */
export function encryptionOf(i: EncryptionInputs): Encryption | undefined {
  const { config, facts } = i;
  if (!config.enabled || config.table === undefined || config.fwmark === undefined) return undefined;
  const table = config.table;
  const peers = peersOf(i);
  const isPeer = new Set(peers.map((p) => p.node));
  const thrown = (dst: string): Route => ({ table, dst, type: "throw", protocol: PROTOCOL_BOOT });
  const local = widest(i.owned.filter((o) => o.node === i.node).map((o) => o.cidr)).map(thrown);
  const remote = i.owned
    .filter((o) => o.node !== i.node)
    .map((o): Route =>
      isPeer.has(o.node) ? { table, dst: o.cidr, type: "unicast", dev: config.interface, scope: "link", protocol: PROTOCOL_BOOT } : thrown(o.cidr),
    );
  return {
    interface: config.interface,
    listenPort: config.listenPort,
    mtu: wireguardMtu(config, hostMtu(config, facts)),
    fwmark: config.fwmark,
    table,
    rulePriority: config.rulePriority,
    keepalive: config.keepalive,
    address: i.nodes.find((n) => n.name === i.node)?.wireguardAddress,
    peers,
    routes: [...local, ...remote].sort((a, b) => comparePrefixes(a.dst, b.dst)),
  };
}
