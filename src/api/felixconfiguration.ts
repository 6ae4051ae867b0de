// FelixConfiguration of projectcalico.org/v3: the settings of the nodes' agents. Names: default, node.NODE, or others with a nodeSelector.
// Field names, defaults and limits are Calico's: https://docs.tigera.io/calico/latest/reference/resources/felixconfig
import type { Kind } from "./kind.ts";
import { noDefaults } from "./kind.ts";
import type { FieldError, Resource } from "./meta.ts";
import { boolean, integer, list, object, resource, type Schema, string } from "./schema.ts";
import { selectorErrors } from "./selector.ts";

type LogSeverity = "" | "Trace" | "Debug" | "Info" | "Warning" | "Error" | "Fatal";
export type RouteTableRange = { min: number; max: number };

/** Every field is optional; absent means Calico's default (in parentheses). */
export type FelixConfigurationSpec = {
  /** Selects the nodes of a configuration that is neither `default` nor `node.NODE`. */
  nodeSelector?: string;
  /** Encrypt IPv4 pod traffic between nodes (false). */
  wireguardEnabled?: boolean;
  /** Encrypt IPv6 pod traffic between nodes (false). */
  wireguardEnabledV6?: boolean;
  /** UDP port of the IPv4 device, 1..65535 (51820). */
  wireguardListeningPort?: number;
  /** UDP port of the IPv6 device, 1..65535 (51821). */
  wireguardListeningPortV6?: number;
  /** Preference of the ip rule, 1..32765 (99). */
  wireguardRoutingRulePriority?: number;
  /** Name of the IPv4 device (wireguard.cali). */
  wireguardInterfaceName?: string;
  /** Name of the IPv6 device (wg-v6.cali). */
  wireguardInterfaceNameV6?: string;
  /** MTU of the IPv4 device; 0 = automatic (0). */
  wireguardMTU?: number;
  /** MTU of the IPv6 device; 0 = automatic (0). */
  wireguardMTUV6?: number;
  /** Also encrypt traffic between the nodes' own addresses (false). */
  wireguardHostEncryptionEnabled?: boolean;
  /** WireGuard's persistent keepalive for every peer, such as "25s" (off). */
  wireguardKeepAlive?: string;
  /** Threaded NAPI on the device (false). */
  wireguardThreadingEnabled?: boolean;
  /** Export WireGuard metrics (true). */
  prometheusWireGuardMetricsEnabled?: boolean;
  prometheusMetricsEnabled?: boolean;
  prometheusMetricsHost?: string;
  prometheusMetricsPort?: number;
  healthEnabled?: boolean;
  healthHost?: string;
  healthPort?: number;
  /** Routing table indexes that may be used (1-250). */
  routeTableRanges?: RouteTableRange[];
  routeTableRange?: RouteTableRange;
  /** Period of the full resync; "0s" switches it off (90s). */
  routeRefreshInterval?: string;
  interfaceRefreshInterval?: string;
  netlinkTimeout?: string;
  /** Bits that the firewall mark is taken from (0xffff0000). */
  iptablesMarkMask?: number;
  nftablesMarkMask?: number;
  /** CalicoIPAM or WorkloadIPs (CalicoIPAM). */
  routeSource?: "CalicoIPAM" | "WorkloadIPs";
  mtuIfacePattern?: string;
  /** `proto` of the routes written, 0..255 (3). */
  deviceRouteProtocol?: number;
  routeSyncDisabled?: boolean;
  ipv6Support?: boolean;
  allowVXLANPacketsFromWorkloads?: boolean;
  allowIPIPPacketsFromWorkloads?: boolean;
  vxlanEnabled?: boolean;
  vxlanPort?: number;
  vxlanVNI?: number;
  vxlanMTU?: number;
  vxlanMTUV6?: number;
  ipipEnabled?: boolean;
  ipipMTU?: number;
  logSeverityScreen?: LogSeverity;
  logSeverityFile?: LogSeverity;
  logSeveritySys?: LogSeverity;
  logFilePath?: string;
  reportingInterval?: string;
  bpfEnabled?: boolean;
  bpfLogLevel?: "Off" | "Info" | "Debug";
  bpfConnectTimeLoadBalancing?: "TCP" | "Enabled" | "Disabled";
  bpfHostNetworkedNATWithoutCTLB?: "Enabled" | "Disabled";
  floatingIPs?: "Enabled" | "Disabled";
  chainInsertMode?: "Insert" | "Append" | "insert" | "append";
  defaultEndpointToHostAction?: "Drop" | "Accept" | "Return" | "DROP" | "ACCEPT" | "RETURN";
};
export type FelixConfiguration = Resource & { spec?: FelixConfigurationSpec };

const port = (what: string): Schema => integer(what, 1, 65535);
const duration = (what: string): Schema => string(what, { pattern: "^([0-9]+(\\.[0-9]+)?(ms|s|m|h))*$" });
const interfaceName = (what: string): Schema => string(what, { pattern: "^[a-zA-Z0-9_.-]{1,15}$" });
const range: Schema = object(
  "Routing table indexes from min to max.",
  { min: integer("Lowest index.", 1, 0xffffffff), max: integer("Highest index.", 1, 0xffffffff) },
  ["min", "max"],
);
const severity = (what: string): Schema => string(what, { enum: ["", "Trace", "Debug", "Info", "Warning", "Error", "Fatal"] });

const spec: Schema = object("Settings of the nodes' agents.", {
  nodeSelector: string("Selects the nodes that this applies to; not allowed on default and node.NODE.", { maxLength: 1024 }),
  wireguardEnabled: boolean("Encrypt IPv4 pod traffic between nodes with WireGuard. [Default: false]"),
  wireguardEnabledV6: boolean("Encrypt IPv6 pod traffic between nodes with WireGuard. [Default: false]"),
  wireguardListeningPort: port("UDP port of the IPv4 WireGuard device. [Default: 51820]"),
  wireguardListeningPortV6: port("UDP port of the IPv6 WireGuard device. [Default: 51821]"),
  wireguardRoutingRulePriority: integer("Preference of the routing rule of WireGuard. [Default: 99]", 1, 32765),
  wireguardInterfaceName: interfaceName("Name of the IPv4 WireGuard device. [Default: wireguard.cali]"),
  wireguardInterfaceNameV6: interfaceName("Name of the IPv6 WireGuard device. [Default: wg-v6.cali]"),
  wireguardMTU: integer("MTU of the IPv4 WireGuard device; 0 means automatic. [Default: 0]", 0, 65535),
  wireguardMTUV6: integer("MTU of the IPv6 WireGuard device; 0 means automatic. [Default: 0]", 0, 65535),
  wireguardHostEncryptionEnabled: boolean("Also encrypt traffic between the nodes' own addresses. [Default: false]"),
  wireguardKeepAlive: duration("Persistent keepalive of every peer, such as 25s; 0 switches it off. [Default: 0]"),
  wireguardThreadingEnabled: boolean("Threaded NAPI on the WireGuard device. [Default: false]"),
  prometheusWireGuardMetricsEnabled: boolean("Export metrics of WireGuard. [Default: true]"),
  prometheusMetricsEnabled: boolean("Serve metrics. [Default: false]"),
  prometheusMetricsHost: string("Address that metrics are served on."),
  prometheusMetricsPort: port("TCP port of the metrics. [Default: 9091]"),
  healthEnabled: boolean("Serve liveness and readiness. [Default: false]"),
  healthHost: string("Address that health is served on. [Default: localhost]"),
  healthPort: port("TCP port of the health endpoint. [Default: 9099]"),
  routeTableRanges: list("Ranges of routing table indexes that may be used. [Default: 1-250]", range),
  routeTableRange: range,
  routeRefreshInterval: duration("Period of the full resync of routes and devices; 0 switches it off. [Default: 90s]"),
  interfaceRefreshInterval: duration("Period at which links are read anew. [Default: 90s]"),
  netlinkTimeout: duration("Time limit of a netlink request. [Default: 10s]"),
  iptablesMarkMask: integer("Bits that marks are taken from. [Default: 0xffff0000]", 1, 0xffffffff),
  nftablesMarkMask: integer("Bits that marks are taken from. [Default: 0xffff0000]", 1, 0xffffffff),
  routeSource: string("Where routes come from. [Default: CalicoIPAM]", { enum: ["CalicoIPAM", "WorkloadIPs"] }),
  mtuIfacePattern: string("Which links the automatic MTU looks at, a regular expression."),
  deviceRouteProtocol: integer("Protocol number of the routes written. [Default: 3]", 0, 255),
  routeSyncDisabled: boolean("Write no routes. [Default: false]"),
  ipv6Support: boolean("Handle IPv6. [Default: true]"),
  allowVXLANPacketsFromWorkloads: boolean("Let pods send VXLAN packets. [Default: false]"),
  allowIPIPPacketsFromWorkloads: boolean("Let pods send IP-in-IP packets. [Default: false]"),
  vxlanEnabled: boolean("Use VXLAN; absent: as the pools ask."),
  vxlanPort: port("UDP port of VXLAN. [Default: 4789]"),
  vxlanVNI: integer("VXLAN network identifier. [Default: 4096]", 0, 0xffffff),
  vxlanMTU: integer("MTU of the IPv4 VXLAN device; 0 means automatic.", 0, 65535),
  vxlanMTUV6: integer("MTU of the IPv6 VXLAN device; 0 means automatic.", 0, 65535),
  ipipEnabled: boolean("Use IP-in-IP; absent: as the pools ask."),
  ipipMTU: integer("MTU of the IP-in-IP device; 0 means automatic.", 0, 65535),
  logSeverityScreen: severity("Lowest severity that is logged to standard output. [Default: Info]"),
  logSeverityFile: severity("Lowest severity that is logged to the file. [Default: Info]"),
  logSeveritySys: severity("Lowest severity that is logged to syslog. [Default: Info]"),
  logFilePath: string("Path of the log file."),
  reportingInterval: duration("Period of status reports. [Default: 30s]"),
  bpfEnabled: boolean("Use the eBPF dataplane. [Default: false]"),
  bpfLogLevel: string("Log level of the eBPF dataplane. [Default: Off]", { enum: ["Off", "Info", "Debug"] }),
  bpfConnectTimeLoadBalancing: string("Whether connect() is where service addresses are translated. [Default: TCP]", {
    enum: ["TCP", "Enabled", "Disabled"],
  }),
  bpfHostNetworkedNATWithoutCTLB: string("Translate service addresses of host-networked pods elsewhere. [Default: Enabled]", {
    enum: ["Enabled", "Disabled"],
  }),
  floatingIPs: string("Floating addresses. [Default: Disabled]", { enum: ["Enabled", "Disabled"] }),
  chainInsertMode: string("Whether chains are inserted or appended. [Default: Insert]", { enum: ["Insert", "Append", "insert", "append"] }),
  defaultEndpointToHostAction: string("What happens to traffic from a pod to its host. [Default: Drop]", {
    enum: ["Drop", "Accept", "Return", "DROP", "ACCEPT", "RETURN"],
  }),
});

function validate(object: FelixConfiguration): FieldError[] {
  const errors: FieldError[] = [];
  const s = object.spec ?? {};
  const name = object.metadata.name;
  if (s.nodeSelector !== undefined && s.nodeSelector !== "" && (name === "default" || name.startsWith("node.")))
    errors.push({
      field: "spec.nodeSelector",
      reason: "FieldValueForbidden",
      message: `Forbidden: nodeSelector cannot be set on a FelixConfiguration named "${name}"`,
    });
  errors.push(...selectorErrors("spec.nodeSelector", s.nodeSelector));
  if (s.routeTableRange && s.routeTableRanges)
    errors.push({
      field: "spec.routeTableRange",
      reason: "FieldValueForbidden",
      message: "Forbidden: routeTableRange and routeTableRanges cannot both be set",
    });
  for (const [i, r] of (s.routeTableRanges ?? []).entries())
    if (r.min > r.max)
      errors.push({
        field: `spec.routeTableRanges[${i}]`,
        reason: "FieldValueInvalid",
        message: `Invalid value: ${JSON.stringify(r)}: min must not be greater than max`,
      });
  return errors;
}

export const FELIX_CONFIGURATION: Kind<FelixConfiguration> = {
  group: "projectcalico.org",
  version: "v3",
  kind: "FelixConfiguration",
  plural: "felixconfigurations",
  singular: "felixconfiguration",
  shortNames: ["felixconfig", "felixconfigs"],
  namespaced: false,
  hasStatus: false,
  builtIn: false,
  categories: [],
  schema: resource("Settings of the nodes' agents.", { spec }),
  defaults: noDefaults,
  validate,
  columns: [],
};
