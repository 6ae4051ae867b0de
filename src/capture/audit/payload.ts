// What a plaintext packet's payload looks like: protected by a layer of its own, or readable (section 7.5.7).
import type { Layer } from "../../packet/layer.ts";

const READABLE: readonly [RegExp, string][] = [
  [/^(GET|POST|PUT|HEAD|DELETE|PATCH|OPTIONS|CONNECT) \S* HTTP\//, "HTTP"],
  [/^HTTP\/1\.[01] /, "HTTP"],
  [/^PRI \* HTTP\/2\.0/, "HTTP/2"],
  [/^SSH-2\.0-/, "SSH"],
];

/** A short remark, or undefined when there is nothing to say. */
export function hintOf(layers: readonly Layer[], bytes: Uint8Array): string | undefined {
  const data = layers.at(-1);
  const above = layers.at(-2);
  if (data?.kind !== "data" || (above?.kind !== "tcp" && above?.kind !== "udp") || data.length === 0) return undefined;
  const payload = bytes.subarray(data.at, data.end);
  const [a, b] = [payload[0]!, payload[1] ?? 0];
  if (above.kind === "tcp" && a >= 0x14 && a <= 0x17 && b === 3) return "payload protected (TLS)";
  if (above.kind === "udp" && payload.length > 6 && (a & 0xc0) === 0xc0 && payload[1] === 0 && payload[4] === 1) return "payload protected (QUIC)";
  if (above.kind === "tcp" && (above.srcPort === 15_008 || above.dstPort === 15_008)) return "payload protected (HBONE)";
  let text = "";
  for (const c of payload.subarray(0, 64)) text += c >= 32 && c < 127 ? String.fromCharCode(c) : c === 9 || c === 10 || c === 13 ? " " : "\0";
  for (const [pattern, name] of READABLE) if (pattern.test(text)) return name === "SSH" ? "payload protected (SSH)" : `payload readable (${name})`;
  const printable = text.replaceAll("\0", "").length;
  return text.length >= 8 && printable >= text.length * 0.9 ? "payload readable" : undefined;
}
