// WireGuard's configuration protocol, for users of the library: the types, the pure codec, the server of a device and a client.
export * from "./client.ts";
export * from "./codec.ts";
export { serveUapi, type UapiServer } from "./server.ts";
export * from "./types.ts";
