// `wg genkey`, `genpsk`, `pubkey`.
import { randomFillSync } from "node:crypto";
import { fstatSync } from "node:fs";
import { toBase64, wipe } from "../../base/bytes.ts";
import { keyOfInput, publicKeyOf } from "./key.ts";
import type { Usage } from "./show.ts";
import { PROGRAM, warn } from "./words.ts";

/** genkey (clamped, RFC 7748 section 5) and genpsk. */
export const generate =
  (clamped: boolean) =>
  async (args: readonly string[], usage: Usage): Promise<number> => {
    if (args.length > 0) return usage();
    const out = fstatSync(1);
    if (out.isFile() && (out.mode & 0o007) !== 0) {
      warn("Warning: writing to world accessible file.\nConsider setting the umask to 077 and trying again.");
    }
    const key = randomFillSync(new Uint8Array(32));
    if (clamped) {
      key[0]! &= 248;
      key[31] = (key[31]! & 127) | 64;
    }
    process.stdout.write(`${toBase64(key)}\n`);
    wipe(key);
    return 0;
  };

/** More than this is no key. */
const MAX_INPUT = 1 << 20;

export async function pubkey(args: readonly string[], usage: Usage): Promise<number> {
  if (args.length > 0) return usage();
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of process.stdin as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    length += chunk.length;
    if (length > MAX_INPUT) break;
  }
  const input = Buffer.concat(chunks);
  wipe(...chunks);
  try {
    const key = keyOfInput(input, PROGRAM);
    process.stdout.write(`${toBase64(publicKeyOf(key))}\n`);
    wipe(key);
  } finally {
    wipe(input);
  }
  return 0;
}
