// The protocol's crypto on the OpenSSL inside Node, for users of the library: what is fastest here and passes a test of its own. tortie/crypto/noble has the
// same in pure JavaScript, which also runs in browsers.
export { batchOpener } from "./batchopener.ts";
export { opensslCrypto } from "./openssl.ts";
export { opensslPackets } from "./packets.ts";
