// A capture on a node (tortie.io/v1 nodes/NAME/capture): what may be asked for. The node answers with a pcapng stream on standard output.
// Nothing of it is trusted to be well formed: words and numbers become arguments of a program.

export type NodeCapture = {
  readonly interfaces: readonly string[];
  /** tcpdump's language; "": everything. */
  readonly filter: string;
  /** Bytes kept of a packet, and of one with WireGuard data. */
  readonly snaplen?: number;
  readonly snaplenData?: number;
  /** Memory for packets that wait, in KiB. */
  readonly bufferSize?: number;
  /** With the keys of the node's device for the handshakes in it, freshly made: whoever gets them reads the traffic. */
  readonly keys?: true;
};

const MAX_INTERFACES = 32;
const MAX_FILTER = 4096;
const NUMBERS = { snaplen: 262_144, snaplenData: 262_144, bufferSize: 1 << 20 } as const;

/** The query of a URL that says it. */
export function queryOfCapture(c: NodeCapture): string {
  const numbers = (Object.keys(NUMBERS) as (keyof typeof NUMBERS)[]).flatMap((name) => (c[name] === undefined ? [] : [[name, String(c[name])]]));
  const words = [...(c.filter === "" ? [] : [["filter", c.filter]]), ...(c.keys ? [["keys", "true"]] : [])];
  const all = [...c.interfaces.map((i) => ["interface", i]), ...words, ...numbers];
  return all.map(([name, value]) => `${name}=${encodeURIComponent(value!)}`).join("&");
}

/** What a query (URLSearchParams) asks for, to be checked by captureOf. */
export function askedOf(query: { get(name: string): string | null; getAll(name: string): string[] }): Record<string, unknown> {
  const numbers = Object.keys(NUMBERS).flatMap((name) => (query.get(name) === null ? [] : [[name, Number(query.get(name) || NaN)]]));
  const keys = query.get("keys");
  const asked = { interfaces: query.getAll("interface"), filter: query.get("filter") ?? "", ...Object.fromEntries(numbers) };
  return keys === null ? asked : { ...asked, keys: keys === "true" };
}

/** The capture, or what is wrong with it. */
export function captureOf(value: Readonly<Record<string, unknown>>): NodeCapture | string {
  const { interfaces, filter, keys } = value;
  // The kernel's rule for names; a dash would make an option of it.
  const named = (i: unknown): boolean => typeof i === "string" && /^[^-\s/:\p{Cc}][^\s/:\p{Cc}]{0,14}$/u.test(i);
  if (!Array.isArray(interfaces) || interfaces.length === 0 || interfaces.length > MAX_INTERFACES || !interfaces.every(named))
    return `interface: 1 to ${MAX_INTERFACES} names of interfaces`;
  if (typeof filter !== "string" || filter.length > MAX_FILTER || filter.includes("\0"))
    return `filter: an expression of at most ${MAX_FILTER} characters`;
  if (keys !== undefined && keys !== true) return "keys: true, or nothing";
  const numbers: { -readonly [K in keyof typeof NUMBERS]?: number } = {};
  for (const [name, max] of Object.entries(NUMBERS) as [keyof typeof NUMBERS, number][]) {
    const n = value[name];
    if (n === undefined) continue;
    if (!Number.isInteger(n) || (n as number) < 1 || (n as number) > max) return `${name}: a whole number from 1 to ${max}`;
    numbers[name] = n as number;
  }
  return { interfaces: interfaces as string[], filter, ...numbers, ...(keys ? { keys } : {}) };
}

/** The arguments of `tortie` that make it. `but`: what is left out whatever the filter says, as an expression. */
export function argumentsOf(c: NodeCapture, but: string | undefined): string[] {
  const filter = but === undefined ? c.filter : c.filter === "" ? `not (${but})` : `(${c.filter}) and not (${but})`;
  const option = (name: string, value: number | undefined): string[] => (value === undefined ? [] : [name, String(value)]);
  return [
    "capture",
    ...c.interfaces.flatMap((i) => ["-i", i]),
    ...option("--snaplen", c.snaplen),
    ...option("--snaplen-data", c.snaplenData),
    ...option("--buffer-size", c.bufferSize),
    ...(c.keys ? ["--keys"] : []),
    "-w",
    "-",
    "--quiet",
    "--until-input-ends",
    "--filter",
    filter,
  ];
}
