// The effective configuration of one node: FelixConfiguration "default" overridden field by field by the one that selects the node, that by "node.<name>";
// then Calico's defaults.
import type { FelixConfiguration } from "../../api/felixconfiguration.ts";
import type { Labels } from "../../api/labelselector.ts";
import { selects } from "../../api/selector.ts";

/** FelixConfiguration.spec with the fields that count here filled in. */
export type Config = {
  readonly enabled: boolean;
  readonly interface: string;
  readonly listenPort: number;
  /** 0: the host's less the overhead. */
  readonly mtu: number;
  readonly rulePriority: number;
  /** Seconds. */
  readonly keepalive: number;
  /** undefined: the mark mask has no bit left. */
  readonly fwmark: number | undefined;
  /** undefined: no table of the ranges is usable. */
  readonly table: number | undefined;
  readonly refreshInterval: number;
  /** Which interfaces the host's MTU is taken from. */
  readonly mtuPattern: RegExp;
  readonly vxlanVni: number;
  readonly vxlanPort: number;
  readonly vxlanMtu: number;
  /** Asked for, and not offered by this version. */
  readonly unsupported: readonly string[];
};

type Spec = NonNullable<FelixConfiguration["spec"]>;

/** "1m30s" in seconds; undefined when it is no duration. */
export function seconds(text: string): number | undefined {
  if (text === "" || !/^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$/.test(text)) return text === "0" ? 0 : undefined;
  const units: Record<string, number> = { ms: 0.001, s: 1, m: 60, h: 3600 };
  return [...text.matchAll(/([0-9.]+)(ms|s|m|h)/g)].reduce((sum, [, n, unit]) => sum + Number(n) * units[unit!]!, 0);
}

/** accept, pass, drop, scratch0, scratch1: the bits that are given out before WireGuard's. */
const BITS_BEFORE_WIREGUARD = 5;

/** The sixth lowest bit of the mask. */
export function wireguardMark(mask: number): number | undefined {
  const bits = Array.from({ length: 32 }, (_, i) => 2 ** i).filter((bit) => Math.floor(mask / bit) % 2 === 1);
  return bits[BITS_BEFORE_WIREGUARD];
}

/** 253, 254 and 255 are the kernel's own tables. */
const reserved = (table: number): boolean => table === 0 || (table >= 253 && table <= 255);

/** The lowest usable index of the ranges. */
export function tableIndex(ranges: readonly { min: number; max: number }[]): number | undefined {
  let lowest: number | undefined;
  for (const { min, max } of ranges) {
    let t = min;
    while (t <= max && reserved(t)) t++;
    if (t <= max && (lowest === undefined || t < lowest)) lowest = t;
  }
  return lowest;
}

const INTERFACE_NAME = /^(?!\.{1,2}$)[a-zA-Z0-9_.-]{1,15}$/;
const MTU_PATTERN = /^((en|wl|ww|sl|ib)[Pcopsvx].*|(eth|wlan|wwan).*)/;
function pattern(text: string | undefined): RegExp {
  try {
    return text === undefined ? MTU_PATTERN : new RegExp(text);
  } catch {
    return MTU_PATTERN;
  }
}

const present = (spec: Spec | undefined): Partial<Spec> =>
  Object.fromEntries(Object.entries(spec ?? {}).filter(([, v]) => v !== undefined && v !== null && v !== "")) as Partial<Spec>;

/** Who is configured. A node whose labels are not known (it is not there yet) is selected by nothing. */
export type Configured = { readonly name: string; readonly labels: Labels | undefined };

/** Of those whose nodeSelector selects the node the oldest, by name if of one age: only one counts. */
function selecting(all: readonly FelixConfiguration[], { labels }: Configured): FelixConfiguration | undefined {
  if (labels === undefined) return undefined;
  const age = ({ metadata }: FelixConfiguration): string => `${metadata.creationTimestamp ?? ""} ${metadata.name}`;
  return all
    .filter(
      ({ metadata: { name }, spec }) => name !== "default" && !name.startsWith("node.") && spec?.nodeSelector && selects(spec.nodeSelector, labels),
    )
    .sort((a, b) => (age(a) < age(b) ? -1 : 1))[0];
}

/** The merged spec of a node. */
export function mergedSpec(all: readonly FelixConfiguration[], node: Configured): Partial<Spec> {
  const named = (name: string): Spec | undefined => all.find((f) => f.metadata.name === name)?.spec;
  return { ...present(named("default")), ...present(selecting(all, node)?.spec), ...present(named(`node.${node.name}`)) };
}

export function configOf(all: readonly FelixConfiguration[], node: Configured): Config {
  const s = mergedSpec(all, node);
  const mask = s.iptablesMarkMask ?? 0xffff0000;
  const unsupported = [
    ...(s.wireguardEnabledV6 ? ["wireguardEnabledV6"] : []),
    ...(s.wireguardHostEncryptionEnabled ? ["wireguardHostEncryptionEnabled"] : []),
    ...(s.routeSource === "WorkloadIPs" ? ["routeSource: WorkloadIPs"] : []),
  ];
  return {
    enabled: s.wireguardEnabled ?? false,
    // The API checks the name too; here it becomes a path and a word of a command.
    interface: INTERFACE_NAME.test(s.wireguardInterfaceName ?? "") ? s.wireguardInterfaceName! : "wireguard.cali",
    listenPort: s.wireguardListeningPort ?? 51820,
    mtu: s.wireguardMTU ?? 0,
    rulePriority: s.wireguardRoutingRulePriority ?? 99,
    keepalive: Math.min(65535, Math.round(seconds(s.wireguardKeepAlive ?? "0s") ?? 0)),
    fwmark: wireguardMark(mask),
    table: tableIndex(s.routeTableRanges ?? (s.routeTableRange ? [s.routeTableRange] : [{ min: 1, max: 250 }])),
    refreshInterval: seconds(s.routeRefreshInterval ?? "90s") ?? 90,
    mtuPattern: pattern(s.mtuIfacePattern),
    vxlanVni: s.vxlanVNI ?? 4096,
    vxlanPort: s.vxlanPort ?? 4789,
    vxlanMtu: s.vxlanMTU ?? 0,
    unsupported,
  };
}
