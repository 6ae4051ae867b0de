// What a plaintext packet's payload looks like: protected by a layer of its own, or readable (section 7.5.7). What is kept of a readable one is its
// shape: letters and digits are replaced, because a report is passed on.
import type { Layer } from "../../packet/layer.ts";
import type { Hint } from "./types.ts";

const READABLE: readonly [RegExp, string][] = [
  [/^(GET|POST|PUT|HEAD|DELETE|PATCH|OPTIONS|CONNECT) \S* HTTP\//, "HTTP"],
  [/^HTTP\/1\.[01] /, "HTTP"],
  [/^PRI \* HTTP\/2\.0/, "HTTP/2, gRPC"],
  [/^(SELECT|INSERT|UPDATE|DELETE|BEGIN|COMMIT|CREATE) /i, "SQL"],
];
const SAMPLE = 64;

/** A remark on the innermost payload, or undefined when there is nothing to say. */
export function hintOf(layers: readonly Layer[], bytes: Uint8Array): Hint | undefined {
  const data = layers.at(-1);
  const above = layers.at(-2);
  if (data?.kind !== "data" || data.length === 0 || data.why) return undefined;
  if (above?.kind !== "tcp" && above?.kind !== "udp") return undefined;
  const payload = bytes.subarray(data.at, data.end);
  const [a, b] = [payload[0]!, payload[1] ?? 0];
  const port = (n: number): boolean => above.srcPort === n || above.dstPort === n;
  const covered = (what: string): Hint => ({ what: `payload protected (${what})`, protected: true });
  if (above.kind === "tcp") {
    if (a >= 0x14 && a <= 0x17 && b === 3) return covered("TLS");
    if (port(15_008)) return covered("HBONE");
  } else if (payload.length > 6 && (a & 0xc0) === 0xc0 && payload[1] === 0 && payload[4] === 1) return covered("QUIC");
  const text = textOf(payload.subarray(0, SAMPLE));
  if (text.startsWith("SSH-2.0-")) return covered("SSH");
  const readable = (what: string): Hint => ({ what, protected: false, sample: redacted(text) });
  for (const [pattern, name] of READABLE) if (pattern.test(text)) return readable(`payload readable (${name})`);
  // A row of a database protocol: a type byte, a length, then words.
  if (above.kind === "tcp" && port(5432) && text.startsWith("Q") && READABLE[3]![0].test(text.slice(5))) return readable("payload readable (SQL)");
  const printable = text.replaceAll("\0", "").length;
  return text.length >= 8 && printable >= text.length * 0.9 ? readable("payload readable") : undefined;
}

const textOf = (bytes: Uint8Array): string => {
  let text = "";
  for (const c of bytes) text += c >= 32 && c < 127 ? String.fromCharCode(c) : c === 9 || c === 10 || c === 13 ? " " : "\0";
  return text;
};
/** The first word and all punctuation stay. */
const redacted = (text: string): string => {
  const head = /^[A-Z]+(\/[0-9.]+)?(?= )/.exec(text)?.[0] ?? "";
  return head + text.slice(head.length).replace(/\p{L}/gu, "x").replace(/[0-9]/g, "0").replaceAll("\0", ".");
};
