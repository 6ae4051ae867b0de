// `wg showconf`, and what changes a device: set, setconf, addconf, syncconf.
import { readFile } from "node:fs/promises";
import { toBase64, toHex } from "../../base/bytes.ts";
import { formatCidr } from "../../base/cidr.ts";
import { formatUapiEndpoint } from "../../uapi/codec.ts";
import type { DeviceConfig, PeerConfig, PeerState } from "../../uapi/types.ts";
import { type Config, parseConfig, parseWords, wipeConfig } from "./config.ts";
import { isSet } from "./key.ts";
import { type Device, reach, type Usage, withDevice } from "./show.ts";
import { failure } from "./words.ts";

function peerSection(p: PeerState): string {
  const lines = ["[Peer]", `PublicKey = ${toBase64(p.publicKey)}`];
  if (isSet(p.presharedKey)) lines.push(`PresharedKey = ${toBase64(p.presharedKey)}`);
  const allowed = [...p.allowedIps].map(formatCidr);
  if (allowed.length > 0) lines.push(`AllowedIPs = ${allowed.join(", ")}`);
  if (p.endpoint) lines.push(`Endpoint = ${formatUapiEndpoint(p.endpoint)}`);
  if (p.persistentKeepalive !== 0) lines.push(`PersistentKeepalive = ${p.persistentKeepalive}`);
  return `${lines.join("\n")}\n`;
}

/** A device as a configuration file. */
export function configOf(d: Device): string {
  const head = ["[Interface]"];
  if (d.listenPort !== 0) head.push(`ListenPort = ${d.listenPort}`);
  if (d.fwmark !== 0) head.push(`FwMark = 0x${d.fwmark.toString(16)}`);
  if (d.privateKey) head.push(`PrivateKey = ${toBase64(d.privateKey)}`);
  return `${head.join("\n")}\n\n${d.peers.map(peerSection).join("\n")}`;
}

export async function showconf(args: readonly string[], usage: Usage): Promise<number> {
  const [name, ...rest] = args;
  if (name === undefined || rest.length > 0) return usage();
  try {
    process.stdout.write(await withDevice(name, configOf));
  } catch (e) {
    throw failure("Unable to access interface", e);
  }
  return 0;
}

async function apply(name: string, config: DeviceConfig): Promise<number> {
  try {
    const connection = await reach(name);
    try {
      await connection.set(config);
    } finally {
      connection.close();
    }
  } catch (e) {
    throw failure("Unable to modify interface", e);
  } finally {
    wipeConfig(config);
  }
  return 0;
}

export async function set(args: readonly string[], usage: Usage): Promise<number> {
  const [name, ...words] = args;
  if (name === undefined || words.length === 0) return usage();
  return apply(name, await parseWords(words));
}

async function configFile(path: string, append: boolean): Promise<Config> {
  const content = await readFile(path).catch((e: unknown) => {
    throw failure("fopen", e);
  });
  return parseConfig(content, append);
}

/** setconf and addconf. */
export const fromFile =
  (append: boolean) =>
  async (args: readonly string[], usage: Usage): Promise<number> => {
    const [name, path, ...rest] = args;
    if (name === undefined || path === undefined || rest.length > 0) return usage();
    return apply(name, await configFile(path, append));
  };

/** What is to be sent so that a device comes to a file's state without disturbing the sessions of peers that stay. */
export function difference(config: Config, device: Device): DeviceConfig {
  if (config.peers.length === 0 || device.peers.length === 0) return config;
  const wanted = new Set(config.peers.map((p) => toHex(p.publicKey)));
  const present = new Map(device.peers.map((p) => [toHex(p.publicKey), p]));
  // In wg(8)'s order: by key, the highest first.
  const hex = (p: PeerState): string => toHex(p.publicKey);
  const gone = device.peers.filter((p) => !wanted.has(hex(p))).toSorted((a, b) => (hex(a) < hex(b) ? 1 : -1));
  const kept = config.peers.map((p): PeerConfig => {
    const now = present.get(toHex(p.publicKey));
    if (!now) return p;
    return {
      ...p,
      presharedKey: p.presharedKey ?? (isSet(now.presharedKey) ? new Uint8Array(32) : undefined),
      persistentKeepalive: p.persistentKeepalive ?? (now.persistentKeepalive !== 0 ? 0 : undefined),
    };
  });
  return { ...config, replacePeers: false, peers: [...gone.map((p) => ({ publicKey: p.publicKey, remove: true })), ...kept] };
}

export async function syncconf(args: readonly string[], usage: Usage): Promise<number> {
  const [name, path, ...rest] = args;
  if (name === undefined || path === undefined || rest.length > 0) return usage();
  const config = await configFile(path, false);
  if (config.peers.length === 0) return apply(name, config);
  let changes: DeviceConfig;
  try {
    changes = await withDevice(name, (device) => difference(config, device));
  } catch (e) {
    wipeConfig(config);
    throw failure("Unable to retrieve current interface configuration", e);
  }
  return apply(name, changes);
}
