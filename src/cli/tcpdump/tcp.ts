// TCP segments in tcpdump's words, with sequence numbers relative to where a connection was first seen.
import type { TcpLayer } from "../../packet/layer.ts";

const SYN = 2;
const RST = 4;
const FIN = 1;
const ACK = 16;
/** In tcpdump's order. */
const LETTERS: readonly (readonly [number, string])[] = [
  [FIN, "F"],
  [SYN, "S"],
  [RST, "R"],
  [8, "P"],
  [ACK, "."],
  [32, "U"],
  [64, "E"],
  [128, "W"],
  [256, "e"],
];
/** Connections that are remembered; the oldest is forgotten first. */
const MAX_CONNECTIONS = 10_000;

type Bases = { forward: number; backward: number };

/** First numbers of each connection. */
export class Connections {
  readonly #bases = new Map<string, Bases>();

  /** Numbers relative to the connection's first ones; unchanged on the packets that set those. */
  relative(src: string, dst: string, l: TcpLayer): { sequence: number; acknowledgement: number } {
    const same = { sequence: l.sequence, acknowledgement: l.acknowledgement };
    if ((l.flags & ACK) === 0) return same;
    const [here, there] = [`${src} ${l.srcPort}`, `${dst} ${l.dstPort}`];
    const reverse = here > there;
    const key = reverse ? `${there} ${here}` : `${here} ${there}`;
    const known = this.#bases.get(key);
    if (!known || (l.flags & SYN) !== 0) {
      const before = l.acknowledgement - 1;
      this.#bases.set(key, reverse ? { forward: before, backward: l.sequence } : { forward: l.sequence, backward: before });
      if (this.#bases.size > MAX_CONNECTIONS) this.#bases.delete(this.#bases.keys().next().value!);
      return same;
    }
    const [own, other] = reverse ? [known.backward, known.forward] : [known.forward, known.backward];
    return { sequence: (l.sequence - own) >>> 0, acknowledgement: (l.acknowledgement - other) >>> 0 };
  }
}

function options(bytes: Uint8Array): string[] {
  const out: string[] = [];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at < bytes.length;) {
    const kind = bytes[at]!;
    if (kind === 0) {
      out.push("eol");
      break;
    }
    if (kind === 1) {
      out.push("nop");
      at++;
      continue;
    }
    const length = bytes[at + 1] ?? 0;
    if (length < 2 || at + length > bytes.length) {
      out.push("[bad opt]");
      break;
    }
    if (kind === 2 && length === 4) out.push(`mss ${view.getUint16(at + 2)}`);
    else if (kind === 3 && length === 3) out.push(`wscale ${bytes[at + 2]}`);
    else if (kind === 4) out.push("sackOK");
    else if (kind === 5) {
      const blocks: string[] = [];
      for (let b = at + 2; b + 8 <= at + length; b += 8) blocks.push(`{${view.getUint32(b)}:${view.getUint32(b + 4)}}`);
      out.push(`sack ${blocks.length} ${blocks.join("")}`);
    } else if (kind === 8 && length === 10) out.push(`TS val ${view.getUint32(at + 2)} ecr ${view.getUint32(at + 6)}`);
    else out.push(`unknown-${kind}`);
    at += length;
  }
  return out;
}

/** "Flags [S], seq 1, win 65495, options […], length 0". `length`: payload on the wire; `numbers`: what to print for sequence and acknowledgement. */
export function tcpText(l: TcpLayer, bytes: Uint8Array, length: number, numbers: { sequence: number; acknowledgement: number }): string {
  const letters = LETTERS.filter(([bit]) => (l.flags & bit) !== 0)
    .map(([, letter]) => letter)
    .join("");
  const parts = [`Flags [${letters || "none"}]`];
  const end = (numbers.sequence + length) >>> 0;
  if (length > 0 || (l.flags & (SYN | FIN | RST)) !== 0) parts.push(`seq ${numbers.sequence}${length > 0 ? `:${end}` : ""}`);
  if ((l.flags & ACK) !== 0) parts.push(`ack ${numbers.acknowledgement}`);
  parts.push(`win ${l.window}`);
  if ((l.flags & 32) !== 0) parts.push(`urg ${(bytes[l.at + 18]! << 8) | bytes[l.at + 19]!}`);
  const opts = options(bytes.subarray(l.at + 20, l.at + l.length));
  if (opts.length > 0) parts.push(`options [${opts.join(",")}]`);
  parts.push(`length ${Math.max(0, length)}`);
  return parts.join(", ");
}
