// The WireGuard protocol, without I/O (docs/library.md). Tunnel is the whole of it for programs that have packets and datagrams; beneath it are the two halves
// that a live device drives over shared memory (README.md in this folder).
export { fromBase64, toBase64, toHex } from "../base/bytes.ts";
export { TortieError } from "../base/errors.ts";
export type { Crypto, Opener, PacketCrypto, Packets, Sealer } from "./crypto.ts";
export { DataHalf } from "./data.ts";
export { Done } from "./done.ts";
export { oneByOne } from "./onebyone.ts";
export { OPEN_ROOM, OPEN_TAIL, Receiver } from "./receiver.ts";
export { SEAL_ROOM, SEAL_TAIL, Sender } from "./sender.ts";
export { Device } from "./device.ts";
export { Drop, type DropReason, DROPS } from "./drop.ts";
export type { Effect, KeylogRecord, Moment } from "./effect.ts";
export { type Endpoint, ENDPOINT_WORDS, EndpointRecord, readEndpoint, writeEndpoint } from "./endpoint.ts";
export { Cookie, DATA_HEADER, DATA_OVERHEAD, Data, Initiation, KEEPALIVE_LENGTH, MessageType, Response } from "./messages.ts";
export type { Peer } from "./peer.ts";
export { Secrets, secretsSize } from "./secrets.ts";
export {
  createTables,
  DATA_THREADS,
  DEFAULT_LIMITS,
  endpointAt,
  Head,
  initTables,
  keypairBytes,
  type Limits,
  Row,
  rowOf,
  type Tables,
  tablesSize,
} from "./tables.ts";
export { type Address, type Datagram, Tunnel, TUNNEL_LIMITS, type TunnelOptions, type TunnelPeer, type TunnelPeerStatus } from "./tunnel.ts";
