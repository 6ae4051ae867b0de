// The WireGuard configuration protocol (www.wireguard.com/xplatform), pure: bytes in, effects and bytes out. Compiled without Node's types.
export { HandshakeOperation, KeylogOperation, type Operation, SetOperation } from "./apply.ts";
export { encodeHandshake, encodeKeylog, encodeSet, encodeState } from "./encode.ts";
export { LineTooLong, Lines, MAX_LINE } from "./lines.ts";
export { ReplyReader } from "./reply.ts";
export { formatUapiEndpoint, parseAllowedIp, parseKey, parseUapiEndpoint } from "./values.ts";
