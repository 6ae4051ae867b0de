// Certificates: X.509 v3 on P-256, signed with ECDSA and SHA-256. RFC 5280. Node reads certificates but cannot make them.
import { createHash, createPublicKey, generateKeyPairSync, type KeyObject, randomBytes, sign } from "node:crypto";
import { parseIp } from "../../base/ip.ts";
import { bits, boolean, type Der, explicit, implicit, integer, octets, oid, sequence, set, time, utf8String } from "./der.ts";

export type Subject = { readonly commonName: string; readonly organizations?: readonly string[] };
export type CertificateOptions = {
  readonly subject: Subject;
  readonly publicKey: KeyObject;
  readonly issuer: { readonly subject: Subject; readonly key: KeyObject };
  /** ms since 1970. */
  readonly notBefore: number;
  readonly notAfter: number;
  readonly use: "ca" | "server" | "client";
  /** DNS names and IP addresses of a server. */
  readonly names?: readonly string[];
};

/** AlgorithmIdentifier of the only signature that is made here. */
export const ECDSA_SHA256: Der = sequence(oid("1.2.840.10045.4.3.2"));
export const COMMON_NAME: Der = oid("2.5.4.3");
export const ORGANIZATION: Der = oid("2.5.4.10");
const USES = { server: "1.3.6.1.5.5.7.3.1", client: "1.3.6.1.5.5.7.3.2" };

export type KeyPair = { readonly publicKey: KeyObject; readonly privateKey: KeyObject };
export const newKeyPair = (): KeyPair => generateKeyPairSync("ec", { namedCurve: "P-256" });

export const nameOf = ({ commonName, organizations = [] }: Subject): Der =>
  sequence(...organizations.map((o) => set(sequence(ORGANIZATION, utf8String(o)))), set(sequence(COMMON_NAME, utf8String(commonName))));

/** A public key as SubjectPublicKeyInfo. */
export const spki = (key: KeyObject): Uint8Array => key.export({ type: "spki", format: "der" });
const keyId = (key: KeyObject): Uint8Array => createHash("sha1").update(spki(key)).digest();

const extension = (id: string, critical: boolean, value: Der): Der => sequence(oid(id), ...(critical ? [boolean(true)] : []), octets(value));

function extensions(o: CertificateOptions): Der[] {
  // keyUsage: digitalSignature (bit 0), or keyCertSign (5) and cRLSign (6).
  const usage = o.use === "ca" ? bits(Uint8Array.of(0x06), 1) : bits(Uint8Array.of(0x80), 7);
  const names = (o.names ?? []).map((n) => {
    const ip = parseIp(n);
    return ip ? implicit(7, ip) : implicit(2, Buffer.from(n, "ascii"));
  });
  return [
    extension("2.5.29.19", true, o.use === "ca" ? sequence(boolean(true)) : sequence()),
    extension("2.5.29.15", true, usage),
    ...(o.use === "ca" ? [] : [extension("2.5.29.37", false, sequence(oid(USES[o.use])))]),
    extension("2.5.29.14", false, octets(keyId(o.publicKey))),
    extension("2.5.29.35", false, sequence(implicit(0, keyId(createPublicKey(o.issuer.key))))),
    ...(names.length > 0 ? [extension("2.5.29.17", false, sequence(...names))] : []),
  ];
}

/** A signed certificate as PEM. */
export function certificate(o: CertificateOptions): string {
  const serial = randomBytes(16);
  serial[0]! &= 127;
  const tbs = sequence(
    explicit(0, integer(Uint8Array.of(2))),
    integer(serial),
    ECDSA_SHA256,
    nameOf(o.issuer.subject),
    sequence(time(o.notBefore), time(o.notAfter)),
    nameOf(o.subject),
    spki(o.publicKey),
    explicit(3, sequence(...extensions(o))),
  );
  return pem("CERTIFICATE", sequence(tbs, ECDSA_SHA256, bits(sign("sha256", tbs, o.issuer.key))));
}

/** RFC 7468. */
export function pem(label: string, der: Der): string {
  const lines = Buffer.from(der)
    .toString("base64")
    .replace(/.{64}(?=.)/g, "$&\n");
  return `-----BEGIN ${label}-----\n${lines}\n-----END ${label}-----\n`;
}

export const privateKeyPem = (key: KeyObject): string => key.export({ type: "pkcs8", format: "pem" }).toString();
