// Trees as tshark's JSON: `_source.layers` (as its --no-duplicate-keys has it: what stands several times is a list), and the flat lines of `-T ek`.
import type { Dissection } from "./dissect.ts";
import { formatDate } from "./moment.ts";
import type { TreeNode } from "./tree.ts";

export type Json = string | boolean | null | Json[] | { [name: string]: Json };
type JsonObject = { [name: string]: Json };

/** Names come from our rows, values from the file: an object without a prototype takes both. */
const empty = (): JsonObject => Object.create(null) as JsonObject;

function put(into: JsonObject, name: string, value: Json): void {
  const before = into[name];
  if (before === undefined) into[name] = value;
  else if (Array.isArray(before)) before.push(value);
  else into[name] = [before, value];
}

function objectOf(nodes: readonly TreeNode[]): JsonObject {
  const out = empty();
  for (const n of nodes) {
    const below = n.children && n.children.length > 0 ? objectOf(n.children) : undefined;
    const name = n.field ?? n.text.replace(/^\[(.*)\]$/, "$1");
    if (n.value !== undefined) {
      put(out, name, n.value);
      if (below) put(out, `${name}_tree`, below);
    } else put(out, name, below ?? (n.children ? n.text : ""));
  }
  return out;
}

/** UTC day of the packet, of Elasticsearch's index. */
function indexOf(time: bigint | undefined): string {
  const ms = Number((time ?? 0n) / 1_000_000n);
  return `packets-${new Date(Number.isFinite(ms) && Math.abs(ms) <= 8.64e15 ? ms : 0).toISOString().slice(0, 10)}`;
}

/** One element of the array that `tshark -T json` prints. */
export function packetJson(d: Dissection): JsonObject {
  const layers = objectOf(d.tree());
  return { _index: indexOf(d.tracked.packet.time), _type: "doc", _score: null, _source: { layers } };
}
/** Only these fields: `tshark -T json -e …`. */
export function fieldsJson(d: Dissection, fields: ReadonlyMap<string, readonly string[]>): JsonObject {
  const layers = empty();
  for (const [name, values] of fields) if (values.length > 0) layers[name] = [...values];
  return { _index: indexOf(d.tracked.packet.time), _type: "doc", _score: null, _source: { layers } };
}

/** Both lines of a packet in `tshark -T ek`: all fields of a layer side by side, dots as "_". */
export function packetEk(d: Dissection): [index: JsonObject, document: JsonObject] {
  const { time } = d.tracked.packet;
  const layers = empty();
  for (const layer of d.tree()) {
    const flat = empty();
    const name = layer.field ?? layer.text;
    flatten(layer.children ?? [], name, flat);
    put(layers, name.replaceAll(".", "_"), flat);
  }
  return [{ index: { _index: indexOf(time), _type: "doc" } }, { timestamp: String((time ?? 0n) / 1_000_000n), layers }];
}
function flatten(nodes: readonly TreeNode[], layer: string, into: JsonObject): void {
  for (const n of nodes) {
    if (n.field !== undefined && n.value !== undefined)
      put(into, `${layer}_${n.field}`.replaceAll(".", "_"), n.flag ?? (n.moment === undefined ? n.value : formatDate(n.moment)));
    flatten(n.children ?? [], layer, into);
  }
}
