// Values of wg(8)'s command line and configuration files: ports, marks, addresses, names. Error texts are wg(8)'s.
import { lookup } from "node:dns/promises";
import { readFile } from "node:fs/promises";
import { type Cidr, formatCidr, mask } from "../../base/cidr.ts";
import { TortieError } from "../../base/errors.ts";
import { compareIp, parseIp } from "../../base/ip.ts";
import type { AllowedIpChange, Endpoint } from "../../uapi/types.ts";
import { parseUapiEndpoint } from "../../uapi/codec.ts";
import { warn } from "./words.ts";

/** UDP port of a number or a service's name (/etc/services). */
async function portOf(text: string): Promise<number | undefined> {
  if (/^[0-9]+$/.test(text)) return Number(text) <= 0xffff ? Number(text) : undefined;
  const services = await readFile("/etc/services", "utf8").catch(() => "");
  for (const line of services.split("\n")) {
    const [name, port, ...aliases] = line.replace(/#.*/, "").trim().split(/\s+/);
    if ((name === text || aliases.includes(text)) && port?.endsWith("/udp")) return Number.parseInt(port, 10);
  }
  return undefined;
}

export async function parsePort(text: string): Promise<number> {
  if (text === "") throw new TortieError("Unable to parse empty port");
  const port = await portOf(text);
  if (port === undefined) throw new TortieError(`Servname not supported for ai_socktype: \`${text}'`);
  return port;
}

/** `off`, decimal, or hexadecimal behind a lower-case 0x. */
export function parseFwmark(text: string): number {
  if (text.toLowerCase() === "off") return 0;
  const n = /^(0x[0-9a-fA-F]+|[0-9]+)$/.test(text) ? Number(text.startsWith("0x") ? text : text.replace(/^0+(?=.)/, "")) : Number.NaN;
  if (!(n <= 0xffffffff)) throw new TortieError(`Fwmark is neither 0/off nor 0-0xffffffff: \`${text}'`);
  return n;
}

export function parseKeepalive(text: string): number {
  if (text.toLowerCase() === "off") return 0;
  const n = /^[0-9]+$/.test(text) ? Number(text) : Number.NaN;
  if (!(n <= 0xffff)) throw new TortieError(`Persistent keepalive interval is neither 0/off nor 1-65535: \`${text}'`);
  return n;
}

function parseAllowedIp(entry: string): { change: AllowedIpChange; signed: boolean } {
  const sign = /^[+-]/.exec(entry)?.[0];
  const text = sign ? entry.slice(1) : entry;
  const slash = text.indexOf("/");
  const ip = parseIp(slash < 0 ? text : text.slice(0, slash));
  if (!ip) throw new TortieError(`Unable to parse IP address: \`${slash < 0 ? text : text.slice(0, slash)}'`);
  const length = slash < 0 ? String(8 * ip.length) : text.slice(slash + 1);
  if (!/^[0-9]+$/.test(length) || Number(length) > 8 * ip.length) throw new TortieError(`AllowedIP is not in the correct format: \`${entry}'`);
  const cidr: Cidr = mask(ip, Number(length));
  if (compareIp(cidr.ip, ip) !== 0) warn(`Warning: AllowedIP has nonzero host part: ${formatCidr({ ip, prefix: cidr.prefix })}`);
  return { change: sign === "-" ? { ...cidr, remove: true } : cidr, signed: sign !== undefined };
}

/** A comma list; "" is none. `replace` is false when an entry has + or -. */
export function parseAllowedIps(text: string): { changes: AllowedIpChange[]; replace: boolean } {
  if (text === "") return { changes: [], replace: true };
  const entries = text.split(",").map(parseAllowedIp);
  return { changes: entries.map((e) => e.change), replace: !entries.some((e) => e.signed) };
}

function splitEndpoint(text: string): { host: string; port: string } {
  if (text === "") throw new TortieError("Unable to parse empty endpoint");
  const missing = new TortieError(`Unable to find port of endpoint: \`${text}'`);
  if (!text.startsWith("[")) {
    const at = text.lastIndexOf(":");
    if (at < 0 || at === text.length - 1) throw missing;
    return { host: text.slice(0, at), port: text.slice(at + 1) };
  }
  const end = text.indexOf("]");
  if (end < 0) throw new TortieError(`Unable to find matching brace of endpoint: \`${text}'`);
  if (text[end + 1] !== ":" || end + 2 >= text.length) throw missing;
  return { host: text.slice(1, end), port: text.slice(end + 2) };
}

/** getaddrinfo's words. */
const RESOLVER: Readonly<Record<string, string>> = {
  ENOTFOUND: "Name or service not known",
  EAI_AGAIN: "Temporary failure in name resolution",
  EAI_FAIL: "Non-recoverable failure in name resolution",
  EAI_NODATA: "No address associated with hostname",
};

/** How often a name that does not resolve for now is tried again: WG_ENDPOINT_RESOLUTION_RETRIES, 15 by default. */
function retries(): number {
  const text = process.env.WG_ENDPOINT_RESOLUTION_RETRIES;
  if (text === "infinity") return Infinity;
  return text !== undefined && /^[0-9]+$/.test(text) ? Number(text) : 15;
}

/** `host:port` or `[v6]:port`; names are resolved, with patience: an interface often comes up before the resolver does. */
export async function parseEndpoint(text: string): Promise<Endpoint> {
  const { host, port: service } = splitEndpoint(text);
  const port = await portOf(service);
  if (port === undefined) throw new TortieError(`Servname not supported for ai_socktype: \`${text}'`);
  const literal = parseUapiEndpoint(host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`);
  if (literal) return literal;
  for (let left = retries(), delay = 1000; ; left--, delay = Math.min(20_000, delay * 1.2)) {
    try {
      const { address } = await lookup(host, { order: "verbatim" });
      const endpoint = parseUapiEndpoint(address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`);
      if (endpoint) return endpoint;
      throw new TortieError(`Neither IPv4 nor IPv6 address found: \`${text}'`);
    } catch (e) {
      if (e instanceof TortieError) throw e;
      const code = (e as NodeJS.ErrnoException).code ?? "";
      const words = `${RESOLVER[code] ?? code}: \`${text}'`;
      if (code !== "EAI_AGAIN" || left <= 0) throw new TortieError(words, { cause: e });
      warn(`${words}. Trying again in ${(delay / 1000).toFixed(2)} seconds...`);
      await new Promise((resolve) => setTimeout(resolve, delay));
    }
  }
}
