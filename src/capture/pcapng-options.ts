// Options of pcapng blocks: a list of code, length, value, closed by a zero code or by the block's end (section 4.3).
import { fromUtf8 } from "../base/bytes.ts";

export type ParsedOption = { readonly code: number; readonly value: Uint8Array };
/** What was read, and what is wrong with the rest. */
export type ParsedOptions = { readonly values: readonly ParsedOption[]; readonly damage: string | undefined };

/** No block that we have seen has more; a million empty options would only cost memory. */
const MAX_OPTIONS = 4096;

export function parseOptions(bytes: Uint8Array, littleEndian: boolean): ParsedOptions {
  const v = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const values: ParsedOption[] = [];
  for (let at = 0; at + 4 <= bytes.length;) {
    const code = v.getUint16(at, littleEndian);
    const length = v.getUint16(at + 2, littleEndian);
    if (code === 0) break;
    if (at + 4 + length > bytes.length) return { values, damage: `option ${code} says ${length} bytes, the block has ${bytes.length - at - 4} left` };
    if (values.length >= MAX_OPTIONS) return { values, damage: `more than ${MAX_OPTIONS} options` };
    values.push({ code, value: bytes.subarray(at + 4, at + 4 + length) });
    at += 4 + length + ((4 - (length % 4)) % 4);
  }
  return { values, damage: undefined };
}

export const commentsOf = (o: ParsedOptions): string[] => o.values.filter((x) => x.code === 1).map((x) => fromUtf8(x.value));
