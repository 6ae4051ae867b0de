// Filter expressions (pcap-filter(7), the part of it that people use) compiled to classic BPF.
import { LINK_ETHERNET } from "../../packet/link.ts";
import { graphOf, threaded } from "./blocks.ts";
import { assemble } from "./assemble.ts";
import { runProgram } from "./interpret.ts";
import { isData, lower } from "./lower.ts";
import { parseFilter } from "./parser.ts";
import type { CompileOptions, Program } from "./types.ts";

export { FilterError } from "./error.ts";
export { image, initialiser } from "./image.ts";
export { runProgram } from "./interpret.ts";
export type { CompileOptions, Instruction, Program } from "./types.ts";

/**
 * The macro `wireguard`: the configured ports, and any UDP datagram whose first four bytes are those of a message (type 1 to 4, three zero bytes) and that is
 * long enough for the shortest one. `udp[…]` is IPv4 only, so IPv6 is said apart (without extension headers).
 */
const wireguard = (ports: readonly number[]): string =>
  [
    ...ports.map((p) => `udp port ${p}`),
    "udp[4:2] >= 40 and udp[8] >= 1 and udp[8] <= 4 and udp[9] = 0 and udp[10:2] = 0",
    "ip6 proto 17 and ip6[44:2] >= 40 and ip6[48] >= 1 and ip6[48] <= 4 and ip6[49] = 0 and ip6[50:2] = 0",
  ]
    .map((part) => `(${part})`)
    .join(" or ");

/** Compiles an expression for a link type; "" keeps everything. Throws FilterError, which says where and what was probably meant, or TortieError. */
export function compileFilter(expression: string, linkType: number, options: CompileOptions = {}): Program {
  const { snapLength = 262_144, live = false, wireguardPorts = [51820] } = options;
  const cut = Math.min(options.dataSnapLength ?? snapLength, snapLength);
  const pass = cut === snapLength ? "accept" : graphOf(isData(linkType, live), "cut", "accept");
  const blank = expression.trim() === "";
  const graph = blank
    ? pass
    : graphOf(
        lower(
          parseFilter(expression, () => wireguard(wireguardPorts)),
          linkType,
          live,
        ),
        pass,
      );
  return assemble(threaded(graph), { accept: snapLength, cut });
}

/** Checks an expression without a capture at hand: throws what compileFilter throws. */
export function checkFilter(expression: string): void {
  compileFilter(expression, LINK_ETHERNET, { live: true });
}

/** Whether packets of a file pass: (data, length on the wire) → boolean. Throws as compileFilter. */
export function packetFilter(expression: string, linkType: number, options: CompileOptions = {}): (data: Uint8Array, length: number) => boolean {
  const program = compileFilter(expression, linkType, options);
  return (data, length) => runProgram(program, data, length) !== 0;
}

/** The program as `tcpdump -ddd` prints it: the number of instructions, then `code jt jf k` a line. */
export const listing = (program: Program): string =>
  [String(program.length), ...program.map((i) => `${i.code} ${i.jt} ${i.jf} ${i.k}`), ""].join("\n");
