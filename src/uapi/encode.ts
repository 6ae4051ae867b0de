// What is sent: requests by a client, the answer to get by a device. Generators of chunks, so that 130,560 allowed IPs never stand in one string.
import type { DeviceConfig, DeviceState, PeerConfig, PeerState } from "./types.ts";
import { formatAllowedIp, formatUapiEndpoint } from "./values.ts";
import { LineWriter } from "./writer.ts";

type Chunks = Generator<Uint8Array<ArrayBuffer>, void, undefined>;

function* peerState(w: LineWriter, p: PeerState): Chunks {
  w.key("public_key", p.publicKey);
  w.key("preshared_key", p.presharedKey);
  w.text("protocol_version=1");
  if (p.endpoint) w.text(`endpoint=${formatUapiEndpoint(p.endpoint)}`);
  w.text(`last_handshake_time_sec=${p.lastHandshakeSec}`);
  w.text(`last_handshake_time_nsec=${p.lastHandshakeNsec}`);
  w.text(`tx_bytes=${p.txBytes}`);
  w.text(`rx_bytes=${p.rxBytes}`);
  w.text(`persistent_keepalive_interval=${p.persistentKeepalive}`);
  for (const a of p.allowedIps) {
    w.text(`allowed_ip=${formatAllowedIp(a)}`);
    if (w.full()) yield w.take();
  }
  if (w.full()) yield w.take();
}

/** The answer to get, `errno=0` included, in wireguard-go's order. Wipe each chunk once it is sent. */
export function* encodeState(state: DeviceState): Chunks {
  const w = new LineWriter();
  if (state.privateKey) w.key("private_key", state.privateKey);
  if (state.listenPort !== 0) w.text(`listen_port=${state.listenPort}`);
  if (state.fwmark !== 0) w.text(`fwmark=${state.fwmark}`);
  for (const p of state.peers) yield* peerState(w, p);
  w.text("errno=0\n");
  yield w.take();
}

function* peerConfig(w: LineWriter, p: PeerConfig): Chunks {
  w.key("public_key", p.publicKey);
  if (p.updateOnly) w.text("update_only=true");
  if (p.remove) return w.text("remove=true");
  if (p.presharedKey) w.key("preshared_key", p.presharedKey);
  if (p.endpoint) w.text(`endpoint=${formatUapiEndpoint(p.endpoint)}`);
  if (p.persistentKeepalive !== undefined) w.text(`persistent_keepalive_interval=${p.persistentKeepalive}`);
  if (p.replaceAllowedIps) w.text("replace_allowed_ips=true");
  for (const a of p.allowedIps ?? []) {
    w.text(`allowed_ip=${formatAllowedIp(a)}`);
    if (w.full()) yield w.take();
  }
  if (w.full()) yield w.take();
}

/** A set operation, in wg(8)'s order. Wipe each chunk once it is sent. */
export function* encodeSet(config: DeviceConfig): Chunks {
  const w = new LineWriter();
  w.text("set=1");
  if (config.privateKey) w.key("private_key", config.privateKey);
  if (config.listenPort !== undefined) w.text(`listen_port=${config.listenPort}`);
  if (config.fwmark !== undefined) w.text(`fwmark=${config.fwmark}`);
  if (config.replacePeers) w.text("replace_peers=true");
  for (const p of config.peers ?? []) yield* peerConfig(w, p);
  w.text("");
  yield w.take();
}

/** tortie_handshake: fresh initiations to these peers now; none named: to all. */
export function encodeHandshake(publicKeys: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const w = new LineWriter();
  w.text("tortie_handshake=1");
  for (const key of publicKeys) w.key("public_key", key);
  w.text("");
  return w.take();
}
