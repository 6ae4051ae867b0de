// All fields by name: which protocols have one, and the way to it through their rows.
import { CLUSTER, COMMENT, DATA, FRAME } from "./frame.ts";
import { ICMP } from "./icmp.ts";
import { ICMPV6 } from "./icmpv6.ts";
import { AH, IPV4, IPV6 } from "./ip.ts";
import { ARP, COOKED, ETHERNET, NULL, PROVIDER_VLAN, VLAN } from "./link.ts";
import { ESP, GENEVE, GRE, VXLAN } from "./overlay.ts";
import type { Part } from "./part.ts";
import type { FieldType, Protocol, Row, Value } from "./row.ts";
import { TCP, UDP } from "./transport.ts";
import { WIREGUARD } from "./wireguard.ts";

/** A packet without a link layer. */
export const RAW: Protocol = { name: "raw", title: () => "Raw packet data", rows: [] };

export const PROTOCOLS: readonly Protocol[] = [
  COMMENT,
  FRAME,
  CLUSTER,
  RAW,
  ETHERNET,
  VLAN,
  PROVIDER_VLAN,
  COOKED,
  NULL,
  ARP,
  IPV4,
  IPV6,
  AH,
  ESP,
  GRE,
  VXLAN,
  GENEVE,
  UDP,
  TCP,
  ICMP,
  ICMPV6,
  WIREGUARD,
  DATA,
];

/** Rows on the way to a field: those that are the field itself, and those above it. */
type Way = { readonly row: Row; readonly isIt: boolean; readonly ways: readonly Way[] };
export type Field = {
  readonly name: string;
  readonly type: FieldType;
  readonly label: string;
  /** The first row of the name: how values are printed. */
  readonly row: Row;
  /** By name of the protocol. */
  readonly ways: ReadonlyMap<string, readonly Way[]>;
};

function waysTo(rows: readonly Row[], name: string): Way[] {
  return rows.flatMap((row) => {
    const ways = waysTo(row.rows ?? [], name);
    return row.name === name || ways.length > 0 ? [{ row, isIt: row.name === name, ways }] : [];
  });
}
function* allRows(rows: readonly Row[]): Generator<Row> {
  for (const row of rows) {
    if (row.name !== "") yield row;
    yield* allRows(row.rows ?? []);
  }
}

const firstRows = new Map<string, Row>();
for (const p of PROTOCOLS) for (const row of allRows(p.rows)) if (!firstRows.has(row.name)) firstRows.set(row.name, row);
const protocols = new Map(PROTOCOLS.map((p) => [p.name, p]));
const fields = new Map<string, Field>();

/** Names of all fields and protocols. */
export const fieldNames = (): string[] => [...protocols.keys(), ...firstRows.keys()];

/** A field or a protocol by its name. */
export function field(name: string): Field | undefined {
  const before = fields.get(name);
  if (before) return before;
  const row = firstRows.get(name);
  const protocol = protocols.get(name);
  let found: Field | undefined;
  if (row) {
    const ways = new Map(PROTOCOLS.map((p) => [p.name, waysTo(p.rows, name)] as const).filter(([, w]) => w.length > 0));
    found = { name, type: row.type, label: row.label, row, ways };
  } else if (protocol) {
    const itself: Row = { name, label: protocol.name, type: "protocol", read: (p) => p.bytes.subarray(p.at, p.end) };
    found = { name, type: "protocol", label: name, row: itself, ways: new Map([[name, [{ row: itself, isIt: true, ways: [] }]]]) };
  }
  if (found) fields.set(name, found);
  return found;
}

/** The rows of a part in the order in which they stand there. */
export function inOrder<R extends { readonly row: Row }>(rows: readonly R[], p: Part, sort: boolean): { at: Part; way: R }[] {
  const all = rows.flatMap((way) => (way.row.each ? way.row.each(p) : [p]).map((at) => ({ at, way })));
  return sort ? all.sort((a, b) => a.at.at - b.at.at) : all;
}

/** The field's values in a part, as they stand. */
export function collect(ways: readonly Way[], p: Part, into: Value[], sort = false): void {
  if (sort || ways.some(isEach)) for (const { at, way } of inOrder(ways, p, sort)) collectOne(way, at, into);
  else for (const way of ways) collectOne(way, p, into);
}
const isEach = (w: Way): boolean => w.row.each !== undefined;
function collectOne(way: Way, p: Part, into: Value[]): void {
  const value = way.row.read(p);
  if (value === undefined) return;
  if (way.isIt) into.push(value);
  if (way.ways.length > 0) collect(way.ways, p, into, way.row.inOrder);
}
