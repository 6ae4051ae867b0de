// The AS number of a cluster's nodes, from the BGPConfiguration "default" of clusters that Calico runs. Tortie has no BGP and does not serve the kind.
import { type Kind, noDefaults } from "../../api/kind.ts";
import type { Resource } from "../../api/meta.ts";
import { anything, resource } from "../../api/schema.ts";
import { find } from "../../client/find.ts";
import type { Client } from "../../client/types.ts";

type BGPConfiguration = Resource & { spec?: { asNumber?: number } };
const BGP_CONFIGURATION: Kind<BGPConfiguration> = {
  group: "projectcalico.org",
  version: "v3",
  kind: "BGPConfiguration",
  plural: "bgpconfigurations",
  singular: "bgpconfiguration",
  shortNames: [],
  namespaced: false,
  hasStatus: false,
  builtIn: false,
  categories: [],
  schema: resource("The settings of BGP.", { spec: anything("The settings.") }),
  defaults: noDefaults,
  validate: () => [],
  columns: [],
};

/** What a cluster that says nothing has. */
const DEFAULT = 64512;

/** "unknown" when the cluster cannot be asked. */
export async function asNumberOf(client: Client): Promise<string> {
  try {
    return String((await find(client, BGP_CONFIGURATION, "default"))?.spec?.asNumber ?? DEFAULT);
  } catch {
    return "unknown";
  }
}
