// The handshake's crypto on the OpenSSL inside Node: what is fastest and passes a test of its own; `name` says which.
import { equal, fromHex } from "../base/bytes.ts";
import type { Crypto } from "../wireguard/crypto.ts";
import { opensslMac } from "./blake2smac.ts";
import { nobleSymmetric } from "./noblesymmetric.ts";
import { nodeCrypto } from "./node.ts";
import { directX25519, type X25519 } from "./x25519.ts";

/** The handshake's primitives. One instance a thread. */
export function opensslCrypto(): Crypto {
  const curve = directX25519();
  const curveWorks = curve !== undefined && rightX25519(curve);
  const mac = opensslMac((key, ...parts) => nobleSymmetric.mac(key, ...parts));
  return { ...nodeCrypto, ...(curveWorks && curve), ...(mac && rightMac(mac) && { mac }), name: curveWorks ? "openssl (direct)" : "node" };
}

// RFC 7748 section 6.1, and a point of low order.
function rightX25519(x: X25519): boolean {
  const secret = fromHex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a")!;
  const other = fromHex("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f")!;
  const shared = x.dh(secret, other);
  return (
    shared !== undefined &&
    equal(shared, fromHex("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742")!) &&
    equal(x.publicKey(secret), fromHex("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a")!) &&
    x.dh(secret, new Uint8Array(32)) === undefined
  );
}

function rightMac(mac: Crypto["mac"]): boolean {
  const message = new Uint8Array(116).fill(7);
  return [16, 32].every((n) => equal(mac(message.subarray(0, n), message), nobleSymmetric.mac(message.subarray(0, n), message)));
}
