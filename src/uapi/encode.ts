// What is sent: requests by a client, the answer to get by a device. Generators of chunks, so that 130,560 allowed IPs never stand in one piece. A chunk is
// good until the next one is asked for; then it is wiped and used again.
import { utf8 } from "../base/bytes.ts";
import type { DeviceConfig, DeviceState, KeylogRequest, PeerConfig, PeerState } from "./types.ts";
import { formatUapiEndpoint } from "./values.ts";
import { field, LineWriter } from "./writer.ts";

type Chunks = Generator<Uint8Array<ArrayBuffer>, void, undefined>;

const PRIVATE_KEY = field("private_key");
const LISTEN_PORT = field("listen_port");
const FWMARK = field("fwmark");
const PUBLIC_KEY = field("public_key");
const PRESHARED_KEY = field("preshared_key");
const VERSION = utf8("protocol_version=1\n");
const HANDSHAKE_SEC = field("last_handshake_time_sec");
const HANDSHAKE_NSEC = field("last_handshake_time_nsec");
const TX_BYTES = field("tx_bytes");
const RX_BYTES = field("rx_bytes");
const KEEPALIVE = field("persistent_keepalive_interval");
const ALLOWED_IP = field("allowed_ip");

function* chunk(w: LineWriter): Chunks {
  try {
    yield w.take();
  } finally {
    w.clear();
  }
}

function* peerState(w: LineWriter, p: PeerState): Chunks {
  w.key(PUBLIC_KEY, p.publicKey);
  w.key(PRESHARED_KEY, p.presharedKey);
  w.line(VERSION);
  if (p.endpoint) w.text(`endpoint=${formatUapiEndpoint(p.endpoint)}`);
  w.number(HANDSHAKE_SEC, p.lastHandshakeSec);
  w.number(HANDSHAKE_NSEC, p.lastHandshakeNsec);
  w.number(TX_BYTES, p.txBytes);
  w.number(RX_BYTES, p.rxBytes);
  w.number(KEEPALIVE, p.persistentKeepalive);
  for (const a of p.allowedIps) {
    w.prefix(ALLOWED_IP, a, false);
    if (w.full()) yield* chunk(w);
  }
  if (w.full()) yield* chunk(w);
}

/** The answer to get, `errno=0` included, in wireguard-go's order. */
export function* encodeState(state: DeviceState): Chunks {
  const w = new LineWriter();
  if (state.privateKey) w.key(PRIVATE_KEY, state.privateKey);
  if (state.listenPort !== 0) w.number(LISTEN_PORT, state.listenPort);
  if (state.fwmark !== 0) w.number(FWMARK, state.fwmark);
  // wg(8) passes over what it does not know.
  if (state.keylog) w.text(`tortie_keylog=${state.keylog.readers}\ntortie_keylog_records=${state.keylog.records}`);
  for (const p of state.peers) yield* peerState(w, p);
  w.text("errno=0\n");
  yield* chunk(w);
}

function* peerConfig(w: LineWriter, p: PeerConfig): Chunks {
  w.key(PUBLIC_KEY, p.publicKey);
  if (p.updateOnly) w.text("update_only=true");
  if (p.remove) return w.text("remove=true");
  if (p.presharedKey) w.key(PRESHARED_KEY, p.presharedKey);
  if (p.endpoint) w.text(`endpoint=${formatUapiEndpoint(p.endpoint)}`);
  if (p.persistentKeepalive !== undefined) w.number(KEEPALIVE, p.persistentKeepalive);
  if (p.replaceAllowedIps) w.text("replace_allowed_ips=true");
  for (const a of p.allowedIps ?? []) {
    w.prefix(ALLOWED_IP, a, a.remove === true);
    if (w.full()) yield* chunk(w);
  }
  if (w.full()) yield* chunk(w);
}

/** A set operation, in wg(8)'s order. */
export function* encodeSet(config: DeviceConfig): Chunks {
  const w = new LineWriter();
  w.text("set=1");
  if (config.privateKey) w.key(PRIVATE_KEY, config.privateKey);
  if (config.listenPort !== undefined) w.number(LISTEN_PORT, config.listenPort);
  if (config.fwmark !== undefined) w.number(FWMARK, config.fwmark);
  if (config.replacePeers) w.text("replace_peers=true");
  for (const p of config.peers ?? []) yield* peerConfig(w, p);
  w.text("");
  yield* chunk(w);
}

/** tortie_handshake: fresh initiations to these peers now; none named: to all. */
export function encodeHandshake(publicKeys: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const w = new LineWriter();
  w.text("tortie_handshake=1");
  for (const key of publicKeys) w.key(PUBLIC_KEY, key);
  w.text("");
  return w.take();
}

/** tortie_keylog: the key log as a stream from now on. */
export function encodeKeylog({ peers = [], seconds, existing }: KeylogRequest): Uint8Array<ArrayBuffer> {
  const w = new LineWriter();
  w.text("tortie_keylog=1");
  for (const key of peers) w.key(PUBLIC_KEY, key);
  if (seconds !== undefined) w.text(`for=${seconds}`);
  if (existing) w.text("existing=true");
  w.text("");
  return w.take();
}
