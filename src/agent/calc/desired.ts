// The whole calculation: resources and facts in, the node's desired state out. Depends on the state only, never on the order in which it came about.
import { configOf } from "./config.ts";
import { encryptionOf } from "./encryption.ts";
import { factsOf } from "./facts.ts";
import { judgeKeys, keyWarnings } from "./keys.ts";
import { hostMtu, vxlanMtu, wireguardMtu } from "./mtu.ts";
import { ownership } from "./ownership.ts";
import { plainRoutesOf, usesVxlan, vxlanOf } from "./plain.ts";
import type { Desired, Inputs } from "./types.ts";

export function desiredState(inputs: Inputs): Desired {
  const { node, facts, felixConfigurations } = inputs;
  const nodes = inputs.nodes.map(factsOf).sort((a, b) => (a.name < b.name ? -1 : 1));
  const own = nodes.find((n) => n.name === node);
  const pools = [...inputs.pools].sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
  const config = configOf(felixConfigurations, own ?? { name: node, labels: undefined });
  const owned = ownership(inputs.blocks, nodes);
  const verdicts = judgeKeys(nodes, node, facts.publicKey);
  const encryption = encryptionOf({ node, config, felixConfigurations, nodes, verdicts, owned, facts });
  const vxlan = vxlanOf(config, pools, nodes, own, facts);
  const host = hostMtu(config, facts);
  const mtus = [host, ...(config.enabled ? [wireguardMtu(config, host)] : []), ...(usesVxlan(pools) ? [vxlanMtu(config, host)] : [])];
  const warnings = [
    ...config.unsupported.map((what) => `FelixConfiguration asks for ${what}, which this version does not offer`),
    ...(config.enabled && !encryption
      ? ["encryption is asked for, but the mark mask or the routing table ranges leave nothing to use: it is off here"]
      : []),
    ...(encryption ? keyWarnings(nodes, verdicts, node) : []),
    ...(own && own.address === undefined ? [`this node, "${node}", has no IPv4 address`] : []),
  ].sort();
  return {
    encryption,
    vxlan,
    plainRoutes: plainRoutesOf(owned, pools, nodes, own, facts, vxlan),
    podMtu: Math.min(...mtus),
    refreshInterval: config.refreshInterval,
    warnings,
  };
}
