// One line of trace_pipe as fields. Keys stay bytes all the way: a string could not be wiped.

/** A key (32 bytes; the caller wipes it), or a word: a number as written, a string without its quotation marks. */
export type ProbeEvent = ReadonlyMap<string, Uint8Array | string>;

const [SPACE, QUOTE, OPEN, CLOSE, COMMA, EQUALS, PARENTHESIS] = Array.from(' "{},=)', (c) => c.charCodeAt(0)) as [
  number,
  number,
  number,
  number,
  number,
  number,
  number,
];

const digit = (c: number): number => (c >= 48 && c <= 57 ? c - 48 : c >= 97 && c <= 102 ? c - 87 : -1);

/** "0x1,0xfe,…" of an array; undefined when it is none of whole bytes. */
function bytesOf(text: Uint8Array): Uint8Array | undefined {
  const out: number[] = [];
  for (let at = 0; at < text.length; at++) {
    if (text[at] !== 48 || text[at + 1] !== 120) return undefined;
    let value = 0;
    for (at += 2; at < text.length && text[at] !== COMMA; at++) {
      const d = digit(text[at]!);
      if (d < 0) return undefined;
      value = value * 16 + d;
    }
    if (value > 255) return undefined;
    out.push(value);
  }
  const bytes = Uint8Array.from(out);
  out.fill(0);
  return bytes;
}

const word = (bytes: Uint8Array): string => String.fromCharCode(...bytes);

/**
 * The fields of an event of the probe at `symbol`; undefined for other lines ("CPU:1 [LOST 12 EVENTS]"). A value that the kernel could not read ("(fault)")
 * is left out. The name of the task that stands first may hold anything, but never as much as the mark that is looked for.
 */
export function parseEvent(line: Uint8Array, symbol: string): ProbeEvent | undefined {
  const mark = new Uint8Array(Array.from(`(${symbol}+0x`, (c) => c.charCodeAt(0)));
  let at = find(line, mark);
  if (at < 0) return undefined;
  at = line.indexOf(PARENTHESIS, at);
  if (at < 0) return undefined;
  const fields = new Map<string, Uint8Array | string>();
  for (at++; at < line.length;) {
    while (line[at] === SPACE) at++;
    const equals = line.indexOf(EQUALS, at);
    if (equals < 0) break;
    const name = word(line.subarray(at, equals));
    const first = line[equals + 1];
    const closing = first === OPEN ? CLOSE : first === QUOTE ? QUOTE : SPACE;
    const from = closing === SPACE ? equals + 1 : equals + 2;
    let end = line.indexOf(closing, from);
    if (end < 0) end = line.length;
    const value = closing === CLOSE ? bytesOf(line.subarray(from, end)) : word(line.subarray(from, end));
    if (value !== undefined && value !== "(fault)") fields.set(name, value);
    at = closing === SPACE ? end : end + 1;
  }
  return fields;
}

function find(line: Uint8Array, mark: Uint8Array): number {
  for (let at = line.indexOf(mark[0]!); at >= 0; at = line.indexOf(mark[0]!, at + 1)) if (mark.every((byte, i) => line[at + i] === byte)) return at;
  return -1;
}
