// The forms in which packets are printed: lines, trees, fields, JSON.
import { toHex } from "../../base/bytes.ts";
import { TortieError } from "../../base/errors.ts";
import { formatTime } from "../../capture/moment.ts";
import type { Dissection } from "../../capture/dissect.ts";
import { field } from "../../capture/fields/registry.ts";
import { nearest } from "../../capture/display/nearest.ts";
import { FLOW_FIELDS } from "../../capture/flows.ts";
import { fieldsJson, packetEk, packetJson } from "../../capture/json.ts";
import { linesOf } from "../../capture/summary.ts";
import { type TreeNode, partLines } from "../../capture/tree.ts";
import { hexRows, packetLine, packetLines, sideBySide } from "../captures/lines.ts";
import { printable } from "../captures/printable.ts";

/** Prints packets one by one: what stands before the first, each, what stands after the last. */
export type Format = {
  readonly head?: string;
  readonly packet: (d: Dissection, first: bigint | undefined) => string;
  readonly between?: string;
  readonly foot?: string;
  /** It shows what only the packets before one tell; "lines": as far as lines do. */
  readonly flows: boolean | "lines";
  /** Of a packet without keys it shows what stands in the packet, and nothing of its session. */
  readonly alone?: boolean;
};

function lines(all: readonly string[]): string {
  let text = "";
  for (const line of all) text += `${printable(line)}\n`;
  return all.length === 0 ? "\n" : text;
}

/** One line a packet; the inner packet's under it. */
export const LIST: Format = { flows: "lines", alone: true, packet: (d, first) => lines(packetLines(d.tracked, first, d)) };
/** As tshark: the inner packet's line in place of the outer one's. */
export const TSHARK_LIST: Format = {
  flows: "lines",
  alone: true,
  packet: (d, first) => {
    const { outer, inner } = linesOf(d.tracked, d);
    return lines([packetLine(d.tracked, first, inner[0] ?? outer)]);
  },
};

const COLUMN = 74;
/** The tree, the bytes, or both: what is opened stands beside what is sealed. */
export const details = (tree: boolean, hex: boolean): Format => ({
  flows: true,
  packet: (d, first) => {
    const all = tree ? trees(d) : lines(packetLines(d.tracked, first, d));
    return `${all}${hex ? bytesBeside(d) : ""}\n`;
  },
});
function trees(d: Dissection): string {
  const opened = d.tracked.messages.filter((m) => m.opened && m.opened.bytes.length > 0);
  const inner = new Set(opened.flatMap((m) => d.inner(m)));
  const left = partLines(d.parts.filter((p) => !inner.has(p)));
  const right = opened.flatMap((m) => partLines(d.inner(m)));
  return lines(sideBySide(left.map(printable), right.map(printable), COLUMN));
}
const paneRows = (p: { name: string; bytes: Uint8Array }): string[] => [`${p.name} (${p.bytes.length} bytes)`, ...hexRows(p.bytes)];
function bytesBeside(d: Dissection): string {
  const panes = d.panes();
  const left = panes.filter((p) => !p.name.startsWith("Decrypted"));
  const right = panes.filter((p) => p.name.startsWith("Decrypted"));
  return lines(sideBySide(left.flatMap(paneRows), right.flatMap(paneRows), COLUMN));
}
/** As tshark -V and -x: one under the other. */
export const tsharkDetails = (tree: boolean, hex: boolean): Format => ({
  flows: true,
  packet: (d, first) => {
    const top = tree ? lines(partLines(d.parts)) : TSHARK_LIST.packet(d, first);
    const panes = d.panes();
    const bytes = panes.flatMap((p) => [...(panes.length > 1 ? [`${p.name} (${p.bytes.length} bytes):`] : []), ...hexRows(p.bytes)]);
    return hex ? `${top}\n${lines(bytes)}\n` : `${top}\n`;
  },
});

export type FieldOptions = {
  readonly header: boolean;
  readonly separator: string;
  readonly occurrence: "a" | "f" | "l";
  readonly aggregator: string;
  readonly quote: string;
};
const CHARACTERS: Readonly<Record<string, string>> = { "/t": "\t", "/s": " " };
/** -E of tshark: header=y, separator=, occurrence=f, aggregator=, quote=d. Throws TortieError. */
function fieldOptions(given: readonly string[]): FieldOptions {
  const set = new Map(given.map((g) => [g.slice(0, Math.max(0, g.indexOf("="))), g.slice(g.indexOf("=") + 1)]));
  const take = (name: string, otherwise: string, allowed?: readonly string[]): string => {
    const value = set.get(name) ?? otherwise;
    set.delete(name);
    if (allowed ? !allowed.includes(value) : value === "")
      throw new TortieError(`Cannot use -E "${name}=${value}"`, {
        hint: allowed ? `${name} is one of ${allowed.join(", ")}.` : "A character, /t or /s.",
      });
    return value;
  };
  const character = (name: string, otherwise: string): string => {
    const value = take(name, otherwise);
    return CHARACTERS[value] ?? value.slice(0, 1);
  };
  const options = {
    header: take("header", "n", ["y", "n"]) === "y",
    separator: character("separator", "/t"),
    occurrence: take("occurrence", "a", ["a", "f", "l"]) as "a",
    aggregator: character("aggregator", ","),
    quote: { d: '"', s: "'", n: "" }[take("quote", "n", ["d", "s", "n"])]!,
  };
  take("bom", "n", ["n"]);
  for (const name of set.keys()) throw new TortieError(`Cannot use -E "${name}": header, separator, occurrence, aggregator and quote are known`);
  return options;
}

const COLUMNS: Readonly<Record<string, (d: Dissection, first: bigint | undefined) => string>> = {
  "_ws.col.number": (d) => String(d.tracked.packet.number),
  "_ws.col.time": (d, first) => (d.tracked.packet.time === undefined ? "" : formatTime(d.tracked.packet.time - (first ?? d.tracked.packet.time))),
  "_ws.col.source": (d) => column(d).src,
  "_ws.col.destination": (d) => column(d).dst,
  "_ws.col.protocol": (d) => column(d).protocol,
  "_ws.col.length": (d) => String(d.tracked.packet.originalLength),
  "_ws.col.info": (d) => column(d).info,
};
function column(d: Dissection): { src: string; dst: string; protocol: string; info: string } {
  const { outer, inner } = linesOf(d.tracked, d);
  return inner[0] ?? outer;
}
/** Names of -e: fields, protocols, columns. Throws TortieError. */
function checkFields(names: readonly string[]): void {
  for (const name of names) {
    if (COLUMNS[name.toLowerCase()] || field(name)) continue;
    const near = nearest(name);
    throw new TortieError(
      `Cannot print the field "${name}": no such field is known here`,
      near.length > 0 ? { hint: `Did you mean ${near.join(", ")}?` } : {},
    );
  }
}
const valuesOf = (d: Dissection, name: string, first: bigint | undefined): string[] => {
  const own = COLUMNS[name.toLowerCase()];
  if (own) return [own(d, first)];
  // What has no value is there, or not; of a protocol its name is told.
  const f = field(name)!;
  if (f.type === "none") return d.values(f).map(() => "1");
  if (f.type === "protocol") return d.values(f).map(() => name);
  return d.texts(name);
};
const needsFlows = (names: readonly string[]): boolean => names.some((n) => FLOW_FIELDS.has(n) || n.startsWith("_ws."));

const fields = (names: readonly string[], o: FieldOptions): Format => ({
  flows: needsFlows(names),
  ...(o.header ? { head: `${names.join(o.separator)}\n` } : {}),
  packet: (d, first) => {
    const cell = (name: string): string => {
      const all = valuesOf(d, name, first);
      const chosen = o.occurrence === "a" ? all : all.slice(...(o.occurrence === "f" ? [0, 1] : [-1]));
      const text = chosen.map(printable).join(o.aggregator);
      return text === "" ? "" : `${o.quote}${o.quote === "" ? text : text.replaceAll(o.quote, o.quote + o.quote)}${o.quote}`;
    };
    return `${names.map(cell).join(o.separator)}\n`;
  },
});

const indented = (value: unknown): string => JSON.stringify(value, undefined, 2).replaceAll(/^/gm, "  ");
const json = (names: readonly string[]): Format => ({
  flows: names.length === 0 || needsFlows(names),
  head: "[\n",
  packet: (d, first) => indented(names.length === 0 ? packetJson(d) : fieldsJson(d, new Map(names.map((n) => [n, valuesOf(d, n, first)])))),
  between: ",\n",
  foot: "\n]\n",
});
const EK: Format = {
  flows: true,
  packet: (d) =>
    packetEk(d)
      .map((l) => `${JSON.stringify(l)}\n`)
      .join(""),
};

/** Our own JSON: outer and inner packet with their fields by name. */
export const OWN_JSON: Format = {
  flows: true,
  head: '{ "packets": [\n',
  packet: (d, _first) => indented(ownJson(d)),
  between: ",\n",
};
function ownJson(d: Dissection): unknown {
  const { packet, messages } = d.tracked;
  const { outer, inner } = linesOf(d.tracked, d);
  const opened = messages.filter((m) => m.opened && m.opened.bytes.length > 0);
  const insides = new Set(opened.flatMap((m) => d.inner(m)));
  return {
    number: packet.number,
    time: packet.time === undefined ? null : formatTime(packet.time),
    interface: packet.iface.id,
    direction: packet.direction ?? null,
    length: packet.originalLength,
    captured: packet.data.length,
    ...outer,
    comments: packet.comments,
    fields: byName(d.tree(d.parts.filter((p) => !insides.has(p)))),
    inner: inner.map((s, i) => ({
      ...s,
      length: opened[i]!.opened!.bytes.length,
      authenticated: opened[i]!.opened!.authenticated,
      fields: byName(d.tree(d.inner(opened[i]!))),
      bytes: toHex(opened[i]!.opened!.bytes),
    })),
  };
}
/** Fields by name; one that occurs several times has a list. */
function byName(tree: readonly TreeNode[]): Record<string, string | string[]> {
  const out: Record<string, string | string[]> = {};
  const walk = (n: TreeNode): void => {
    if (n.field !== undefined && n.value !== undefined) {
      const before = out[n.field];
      out[n.field] = before === undefined ? n.value : [...(Array.isArray(before) ? before : [before]), n.value];
    }
    n.children?.forEach(walk);
  };
  tree.forEach(walk);
  return out;
}

/** What -T, -e and -E ask for; `text` is what -T text prints. Throws TortieError. */
export function formatOf(o: { readonly T: string; readonly e: readonly string[]; readonly E: readonly string[] }, text: () => Format): Format {
  checkFields(o.e);
  switch (o.T) {
    case "text":
      return text();
    case "fields":
      if (o.e.length === 0) throw new TortieError("Cannot print fields: -e FIELD says which");
      return fields(o.e, fieldOptions(o.E));
    case "json":
      return json(o.e);
    case "ek":
      return EK;
    default:
      throw new TortieError(`Cannot print as "${o.T}": text, fields, json or ek`);
  }
}
