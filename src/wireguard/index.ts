// The WireGuard protocol, without I/O: README.md in this folder says how a runtime drives it.
export type { Crypto, PacketCrypto } from "./crypto.ts";
export { SEAL_HEADROOM, SEAL_TAILROOM } from "./crypto.ts";
export { DataHalf, Done, SEND_HEADROOM, SEND_TAILROOM } from "./data.ts";
export { Device } from "./device.ts";
export { Drop, type DropReason, DROPS } from "./drop.ts";
export type { Effect, KeylogRecord, Moment } from "./effect.ts";
export { type Endpoint, ENDPOINT_WORDS, EndpointRecord, readEndpoint, writeEndpoint } from "./endpoint.ts";
export { Cookie, DATA_HEADER, DATA_OVERHEAD, Data, Initiation, KEEPALIVE_LENGTH, MessageType, Response } from "./messages.ts";
export type { Peer } from "./peer.ts";
export { createTables, DEFAULT_LIMITS, endpointAt, Head, initTables, type Limits, Row, rowOf, type Tables, tablesSize } from "./tables.ts";
