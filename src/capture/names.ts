// Which names a display filter may use for a packet: the fields of its tree, and the protocols that it has.
import type { Lookup } from "./display.ts";
import { dissect, type Dissection, valuesOf } from "./dissect.ts";
import type { Secrets } from "./secrets.ts";
import type { TrackedPacket } from "./tracker.ts";

const PROTOCOLS: Readonly<Record<string, string>> = { ethernet: "eth", ipv4: "ip", cooked: "sll", extension: "ipv6.ext", fragment: "ipv6.fraghdr" };

/** Field and protocol look-up of a packet; the tree is made when the first field is asked for. */
export function lookupOf(t: TrackedPacket, secrets: Secrets, first?: bigint): Lookup {
  const layers = [...t.layers, ...(t.whole?.layers ?? []), ...t.messages.flatMap((m) => m.opened?.layers ?? [])];
  const protocols = new Set(layers.map((l) => PROTOCOLS[l.kind] ?? l.kind));
  protocols.add("frame");
  if (t.messages.length > 0) protocols.add("wg");
  let tree: Dissection | undefined;
  return (name) => {
    if (protocols.has(name)) return [""];
    tree ??= dissect(t, secrets, first);
    return valuesOf(tree, name);
  };
}
