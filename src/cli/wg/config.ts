// Configuration files (wg(8), CONFIGURATION FILE FORMAT) and the words of `wg set`, both into one set operation.
import { wipe } from "../../base/bytes.ts";
import { TortieError } from "../../base/errors.ts";
import type { AllowedIpChange, DeviceConfig, PeerConfig } from "../../uapi/types.ts";
import { argument, keyOfFile, parseKey } from "./key.ts";
import { parseAllowedIps, parseEndpoint, parseFwmark, parseKeepalive, parsePort } from "./values.ts";

type Draft<T> = { -readonly [K in keyof T]: T[K] };
type PeerDraft = Draft<Omit<PeerConfig, "publicKey" | "allowedIps">> & { publicKey?: Uint8Array; allowedIps: AllowedIpChange[] };
export type Config = Draft<Omit<DeviceConfig, "peers">> & { peers: PeerConfig[] };

function addAllowedIps(peer: PeerDraft, text: string): void {
  const { changes, replace } = parseAllowedIps(text);
  peer.allowedIps.push(...changes);
  if (!replace) peer.replaceAllowedIps = false;
}

/** Wipes the secrets of a configuration. */
export function wipeConfig(config: DeviceConfig): void {
  wipe(config.privateKey, ...[...(config.peers ?? [])].map((p) => p.presharedKey));
}

const isBlank = (c: number): boolean => c === 32 || (c >= 9 && c <= 13);
/** The line without its comment and without any whitespace; the bytes are moved within the line. */
function stripped(line: Uint8Array): Uint8Array {
  let n = 0;
  for (const c of line) {
    if (c === 35) break;
    if (!isBlank(c)) line[n++] = c;
  }
  return line.subarray(0, n);
}

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString("utf8");
const unrecognized = (line: Uint8Array, value: Uint8Array | undefined): TortieError => {
  // A misspelt PrivateKey must not show what stands behind it.
  const head = value && value.length === 44 ? `${text(line.subarray(0, line.length - 44))}(hidden)` : text(line);
  return new TortieError(`Line unrecognized: \`${head}'`);
};

type Fields<T> = Readonly<Record<string, (target: T, value: Uint8Array) => void | Promise<void>>>;

const INTERFACE: Fields<Config> = {
  listenport: async (c, v) => void (c.listenPort = await parsePort(text(v))),
  fwmark: (c, v) => void (c.fwmark = parseFwmark(text(v))),
  privatekey: (c, v) => void (c.privateKey = parseKey(v, true)),
};
const PEER: Fields<PeerDraft> = {
  publickey: (p, v) => void (p.publicKey = parseKey(v, false)),
  presharedkey: (p, v) => void (p.presharedKey = parseKey(v, true)),
  allowedips: (p, v) => addAllowedIps(p, text(v)),
  endpoint: async (p, v) => void (p.endpoint = await parseEndpoint(text(v))),
  persistentkeepalive: (p, v) => void (p.persistentKeepalive = parseKeepalive(text(v))),
};

/**
 * Reads a configuration file's content, which is wiped. `append`: as for addconf, only what is written; otherwise what is absent is cleared.
 * Throws TortieError with wg(8)'s words.
 */
export async function parseConfig(content: Uint8Array, append: boolean): Promise<Config> {
  const config: Config = append ? { peers: [] } : { peers: [], privateKey: new Uint8Array(32), listenPort: 0, fwmark: 0, replacePeers: true };
  const drafts: PeerDraft[] = [];
  let section: "none" | "interface" | "peer" = "none";
  try {
    for (let at = 0; at < content.length;) {
      const end = content.indexOf(10, at);
      const line = stripped(content.subarray(at, end < 0 ? content.length : end));
      at = end < 0 ? content.length : end + 1;
      if (line.length === 0) continue;
      const header = line[0] === 91 ? text(line).toLowerCase() : "";
      if (header === "[interface]" || header === "[peer]") {
        section = header === "[peer]" ? "peer" : "interface";
        if (section === "peer") drafts.push({ allowedIps: [], replaceAllowedIps: true });
        continue;
      }
      const equals = line.indexOf(61);
      const name = text(line.subarray(0, Math.max(equals, 0))).toLowerCase();
      // Only allowed IPs may be set to nothing.
      const empty = equals === line.length - 1 && name !== "allowedips";
      const value = equals < 0 || empty ? undefined : line.subarray(equals + 1);
      const known = value && (section === "interface" ? Object.hasOwn(INTERFACE, name) : section === "peer" && Object.hasOwn(PEER, name));
      if (!known) throw unrecognized(line, value);
      if (section === "interface") await INTERFACE[name]!(config, value);
      else await PEER[name]!(drafts.at(-1)!, value);
    }
    config.peers = drafts.map(complete);
  } catch (e) {
    wipeConfig(config);
    wipe(...drafts.map((d) => d.presharedKey));
    if (!(e instanceof TortieError)) throw e;
    throw new TortieError(`${e.message}\n${e.message === NO_KEY ? "Invalid configuration" : "Configuration parsing error"}`, { cause: e });
  } finally {
    wipe(content);
  }
  return config;
}

const NO_KEY = "A peer is missing a public key";

function complete(draft: PeerDraft): PeerConfig {
  if (!draft.publicKey) throw new TortieError(NO_KEY);
  return { ...draft, publicKey: draft.publicKey };
}

/** The words behind `wg set IF`. Throws TortieError with wg(8)'s words. */
export async function parseWords(words: readonly string[]): Promise<Config> {
  const config: Config = { peers: [] };
  const drafts: PeerDraft[] = [];
  try {
    for (let i = 0; i < words.length; i++) {
      const word = words[i]!;
      const peer = drafts.at(-1);
      if (word === "remove" && peer) {
        peer.remove = true;
        continue;
      }
      const value = words[i + 1];
      if (value === undefined || !(await takeWord(word, value, config, peer, drafts))) throw new TortieError(`Invalid argument: ${word}`);
      i++;
    }
    config.peers = drafts.map(complete);
    return config;
  } catch (e) {
    wipeConfig(config);
    wipe(...drafts.map((d) => d.presharedKey));
    throw e;
  }
}

async function takeWord(word: string, value: string, config: Config, peer: PeerDraft | undefined, drafts: PeerDraft[]): Promise<boolean> {
  if (word === "peer") {
    drafts.push({ publicKey: parseKey(argument(value), false), allowedIps: [] });
    return true;
  }
  if (!peer) {
    if (word === "listen-port") config.listenPort = await parsePort(value);
    else if (word === "fwmark") config.fwmark = parseFwmark(value);
    else if (word === "private-key") config.privateKey = await keyOfFile(value);
    else return false;
    return true;
  }
  if (word === "endpoint") peer.endpoint = await parseEndpoint(value);
  else if (word === "persistent-keepalive") peer.persistentKeepalive = parseKeepalive(value);
  else if (word === "preshared-key") peer.presharedKey = await keyOfFile(value);
  else if (word === "allowed-ips") {
    peer.replaceAllowedIps = true;
    addAllowedIps(peer, value.replace(/\s/g, ""));
  } else return false;
  return true;
}
