// -x, -X and -A: the bytes under a line.

const printable = (b: number): string => (b > 32 && b < 127 ? String.fromCharCode(b) : ".");

/** Rows of 16 bytes, each on a line of its own with a tab in front. */
export function hexDump(bytes: Uint8Array, ascii: boolean): string {
  let out = "";
  for (let at = 0; at < bytes.length; at += 16) {
    const row = bytes.subarray(at, at + 16);
    const digits = Array.from(row, (b) => b.toString(16).padStart(2, "0"));
    const pairs: string[] = [];
    for (let i = 0; i < digits.length; i += 2) pairs.push(digits.slice(i, i + 2).join(""));
    const text = pairs.join(" ");
    out += `\n\t0x${at.toString(16).padStart(4, "0")}:  ${ascii ? `${text.padEnd(39)}  ${Array.from(row, printable).join("")}` : text}`;
  }
  return out;
}

/** -A: the bytes as text; line ends and tabs stay. */
export const asciiDump = (bytes: Uint8Array): string =>
  `\n${Array.from(bytes, (b) => (b === 10 || b === 9 ? String.fromCharCode(b) : b === 32 ? " " : b === 13 ? "" : printable(b))).join("")}`;
