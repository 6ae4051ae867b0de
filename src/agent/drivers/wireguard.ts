// What a device must be told so that it is what it should be. Pure. The same comparison serves a device that was just read and one that is remembered.
import { fromBase64, toBase64 } from "../../base/bytes.ts";
import { formatCidr, parseCidr } from "../../base/cidr.ts";
import { formatEndpoint, parseIp } from "../../base/ip.ts";
import type { DeviceConfig, DeviceState, PeerConfig } from "../../uapi/types.ts";
import type { Encryption } from "../calc/types.ts";

export type PeerView = { readonly endpoint: string | undefined; readonly keepalive: number; readonly allowedIps: ReadonlySet<string> };
/** A device as far as the agent cares. Keys are base64. */
export type DeviceView = {
  /** Public key; undefined: the device has no private key. */
  readonly publicKey: string | undefined;
  readonly listenPort: number;
  readonly fwmark: number;
  readonly peers: ReadonlyMap<string, PeerView>;
};

/** What was read from a device. `publicKey` is that of its private key. */
export const viewOf = (state: DeviceState, publicKey: string | undefined): DeviceView => ({
  publicKey,
  listenPort: state.listenPort,
  fwmark: state.fwmark,
  peers: new Map(
    [...state.peers].map((p) => [
      toBase64(p.publicKey),
      {
        endpoint: p.endpoint && formatEndpoint(p.endpoint.ip, p.endpoint.port),
        keepalive: p.persistentKeepalive,
        allowedIps: new Set([...p.allowedIps].map(formatCidr)),
      },
    ]),
  ),
});

/** What the device should be. */
export const targetOf = (e: Encryption, publicKey: string): DeviceView => ({
  publicKey,
  listenPort: e.listenPort,
  fwmark: e.fwmark,
  peers: new Map(
    e.peers.map((p) => [
      p.publicKey,
      {
        endpoint: formatEndpoint(parseIp(p.endpoint.address)!, p.endpoint.port),
        keepalive: e.keepalive,
        allowedIps: new Set(p.allowedIps),
      },
    ]),
  ),
});

const bytes = (key: string): Uint8Array => fromBase64(key)!;
const cidrs = (texts: Iterable<string>): NonNullable<PeerConfig["allowedIps"]> => [...texts].map((t) => parseCidr(t)!);

function endpointOf(text: string): NonNullable<PeerConfig["endpoint"]> {
  const at = text.lastIndexOf(":");
  return { ip: parseIp(text.slice(0, at).replace(/^\[|\]$/g, ""))!, port: Number(text.slice(at + 1)) };
}

function peerChange(key: string, have: PeerView | undefined, want: PeerView): PeerConfig | undefined {
  if (!have)
    return {
      publicKey: bytes(key),
      endpoint: want.endpoint === undefined ? undefined : endpointOf(want.endpoint),
      persistentKeepalive: want.keepalive,
      replaceAllowedIps: true,
      allowedIps: cidrs(want.allowedIps),
    };
  const added = [...want.allowedIps].filter((a) => !have.allowedIps.has(a));
  const replace = [...have.allowedIps].some((a) => !want.allowedIps.has(a));
  const change: PeerConfig = {
    publicKey: bytes(key),
    updateOnly: true,
    ...(want.endpoint !== undefined && want.endpoint !== have.endpoint ? { endpoint: endpointOf(want.endpoint) } : {}),
    ...(want.keepalive === have.keepalive ? {} : { persistentKeepalive: want.keepalive }),
    ...(replace ? { replaceAllowedIps: true } : {}),
    ...(replace || added.length > 0 ? { allowedIps: cidrs(replace ? want.allowedIps : added) } : {}),
  };
  return Object.keys(change).length > 2 ? change : undefined;
}

export type DeviceChange = {
  readonly config: DeviceConfig;
  /** Keys of peers that the device did not have. */
  readonly added: readonly string[];
};

/** undefined: the device is right as it is. Peers that go are removed first, those that lose prefixes come before those that gain them. */
export function changeOf(have: DeviceView, want: DeviceView, privateKey: Uint8Array): DeviceChange | undefined {
  const removed: PeerConfig[] = [...have.peers.keys()].filter((key) => !want.peers.has(key)).map((key) => ({ publicKey: bytes(key), remove: true }));
  const changed = [...want.peers].map(([key, peer]) => peerChange(key, have.peers.get(key), peer)).filter((c) => c !== undefined);
  const narrowed = changed.filter((c) => c.updateOnly && c.replaceAllowedIps);
  const peers = [...removed, ...narrowed, ...changed.filter((c) => !narrowed.includes(c))];
  const config: DeviceConfig = {
    ...(have.publicKey === want.publicKey ? {} : { privateKey }),
    ...(have.listenPort === want.listenPort ? {} : { listenPort: want.listenPort }),
    ...(have.fwmark === want.fwmark ? {} : { fwmark: want.fwmark }),
    ...(peers.length > 0 ? { peers } : {}),
  };
  if (Object.keys(config).length === 0) return undefined;
  return { config, added: [...want.peers.keys()].filter((key) => !have.peers.has(key)) };
}
