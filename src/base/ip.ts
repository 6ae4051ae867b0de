// IP addresses as bytes: 4 or 16 of them, network order. The text forms are RFC 791 dotted decimal (strict: no octal, no short forms) and RFC 5952.

/** 4 bytes (IPv4) or 16 bytes (IPv6), network order. */
export type Ip = Uint8Array;
export type Family = 4 | 6;

export const familyOf = (ip: Ip): Family => (ip.length === 4 ? 4 : 6);

function parseIp4(text: string): Ip | undefined {
  const parts = text.split(".");
  if (parts.length !== 4) return undefined;
  const out = new Uint8Array(4);
  for (const [i, part] of parts.entries()) {
    if (!/^(0|[1-9][0-9]{0,2})$/.test(part) || Number(part) > 255) return undefined;
    out[i] = Number(part);
  }
  return out;
}

function parseGroups(text: string): number[] | undefined {
  if (text === "") return [];
  const groups: number[] = [];
  const parts = text.split(":");
  for (const [i, part] of parts.entries()) {
    if (part.includes(".")) {
      const v4 = i === parts.length - 1 ? parseIp4(part) : undefined;
      if (!v4) return undefined;
      groups.push((v4[0]! << 8) | v4[1]!, (v4[2]! << 8) | v4[3]!);
    } else {
      if (!/^[0-9a-fA-F]{1,4}$/.test(part)) return undefined;
      groups.push(parseInt(part, 16));
    }
  }
  return groups;
}

function parseIp6(text: string): Ip | undefined {
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  if (halves.length === 2 && halves[0]!.includes(".")) return undefined;
  const head = parseGroups(halves[0]!);
  const tail = halves.length === 2 ? parseGroups(halves[1]!) : [];
  if (!head || !tail) return undefined;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined;
  const out = new Uint8Array(16);
  for (const [i, g] of [...head, ...Array<number>(missing).fill(0), ...tail].entries()) {
    out[2 * i] = g >> 8;
    out[2 * i + 1] = g & 255;
  }
  return out;
}

/** Bytes of an address, or undefined. No zone, no prefix length. */
export const parseIp = (text: string): Ip | undefined => (text.includes(":") ? parseIp6(text) : parseIp4(text));

/** RFC 5952 text: the longest run of at least two zero groups is shortened; IPv4-mapped addresses end in dotted decimal. */
export function formatIp(ip: Ip): string {
  if (ip.length === 4) return `${ip[0]}.${ip[1]}.${ip[2]}.${ip[3]}`;
  let best = 8;
  let bestLength = 1;
  for (let i = 0; i < 8; i++) {
    let n = 0;
    while (i + n < 8 && group(ip, i + n) === 0) n++;
    if (n > bestLength) [best, bestLength] = [i, n];
    if (n > 1) i += n;
  }
  if (best === 0 && bestLength === 5 && group(ip, 5) === 0xffff) return `::ffff:${ip[12]}.${ip[13]}.${ip[14]}.${ip[15]}`;
  return best === 8 ? groups(ip, 0, 8) : `${groups(ip, 0, best)}::${groups(ip, best + bestLength, 8)}`;
}
const group = (ip: Ip, i: number): number => (ip[2 * i]! << 8) | ip[2 * i + 1]!;
function groups(ip: Ip, from: number, to: number): string {
  let text = "";
  for (let i = from; i < to; i++) text += `${i === from ? "" : ":"}${group(ip, i).toString(16)}`;
  return text;
}

/** "192.0.2.1:51820" or "[2001:db8::1]:51820". */
export const formatEndpoint = (ip: Ip, port: number): string => (ip.length === 4 ? `${formatIp(ip)}:${port}` : `[${formatIp(ip)}]:${port}`);

/** Address and port of `1.2.3.4:5` or `[::1]:5`, or undefined. No names. */
export function parseEndpoint(text: string): { ip: Ip; port: number } | undefined {
  const m = /^(?:\[([^\]%]+)\]|([^:[\]]+)):([0-9]{1,5})$/.exec(text);
  if (!m || Number(m[3]) > 65535) return undefined;
  const ip = parseIp((m[1] ?? m[2])!);
  if (!ip || (ip.length === 16) !== (m[1] !== undefined)) return undefined;
  return { ip, port: Number(m[3]) };
}

/** The address `n` further (carries; wraps at the end of the family). */
export function addToIp(ip: Ip, n: number): Ip {
  const out = new Uint8Array(ip);
  for (let i = out.length - 1, carry = n; i >= 0 && carry !== 0; i--) {
    carry += out[i]!;
    out[i] = carry & 255;
    carry = Math.floor(carry / 256);
  }
  return out;
}

/** Byte order, IPv4 before IPv6: for sorting. */
export function compareIp(a: Ip, b: Ip): number {
  if (a.length !== b.length) return a.length - b.length;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return a[i]! - b[i]!;
  return 0;
}
