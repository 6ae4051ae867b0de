import { generateKeyPairSync, sign } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ECDSA_SHA256, nameOf, newKeyPair, pem, spki } from "./certificate.ts";
import { bits, type Der, elements, explicit, implicit, integer, octets, oid, sequence, set, tagged, utf8String } from "./der.ts";
import { certificateRequest, readCertificateRequest } from "./pkcs10.ts";

const NODE = { commonName: "system:node:n1", organizations: ["system:nodes"] };
const PAIR = newKeyPair();

// Made by openssl 3.0 and sent by kubectl 1.36 to a Kubernetes API server: ../shared/specs/apiserver-recordings, csr-create.
const RECORDED = `-----BEGIN CERTIFICATE REQUEST-----
MIHwMIGWAgEAMDQxFTATBgNVBAoMDHN5c3RlbTpub2RlczEbMBkGA1UEAwwSc3lz
dGVtOm5vZGU6bm9kZS1hMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEubw3pW75
PCI5wdS+VtneHIcHH4NACJozURxrplUkEl1+TOQgRtq+wZPJoRaMwYcICi4dcUgn
H4SeWIPUBSq1BKAAMAoGCCqGSM49BAMCA0kAMEYCIQCCpUGpBxk3FO2OOWaVcu0/
4dtrF5NQz5o/A0KSLlTCGQIhANAjohwDws9KToLAUQD4QBb/YSfPveUYXX9q3JKm
6WGF
-----END CERTIFICATE REQUEST-----
`;
const derOf = (text: string): Buffer => Buffer.from(text.replace(/-----[^-]+-----|\s/g, ""), "base64");

test("a recorded request", () => {
  const read = readCertificateRequest(RECORDED);
  expect(read.subject).toEqual({ commonName: "system:node:node-a", organizations: ["system:nodes"] });
  expect([read.publicKey.asymmetricKeyType, read.hasExtensions]).toEqual(["ec", false]);
});

test("what is made is read", () => {
  const read = readCertificateRequest(certificateRequest(NODE, PAIR));
  expect(read.subject).toEqual(NODE);
  expect(read.publicKey.equals(PAIR.publicKey)).toBe(true);
});

/** A request of parts that may be wrong. */
function made(o: { version?: Der; subject?: Der; key?: Der; attributes?: Der; algorithm?: Der; by?: typeof PAIR } = {}): string {
  const info = sequence(
    o.version ?? integer(Uint8Array.of(0)),
    o.subject ?? nameOf(NODE),
    o.key ?? spki(PAIR.publicKey),
    o.attributes ?? tagged(0xa0),
  );
  return pem("CERTIFICATE REQUEST", sequence(info, o.algorithm ?? ECDSA_SHA256, bits(sign("sha256", info, (o.by ?? PAIR).privateKey))));
}
const attribute = (type: string, value: string, tag = 0x0c): Der => set(sequence(oid(type), tagged(tag, Buffer.from(value))));
const CN = attribute("2.5.4.3", "x");
const extensionRequest = (...extensions: Der[]): Der => tagged(0xa0, sequence(oid("1.2.840.113549.1.9.14"), set(sequence(...extensions))));
const NAMES = sequence(oid("2.5.29.17"), octets(sequence(implicit(2, Buffer.from("a.example")))));

test("extensions are seen", () => {
  expect(readCertificateRequest(made({ attributes: extensionRequest(NAMES) })).hasExtensions).toBe(true);
  expect(readCertificateRequest(made({ attributes: extensionRequest() })).hasExtensions).toBe(false);
});

describe("refused", () => {
  const short = generateKeyPairSync("rsa", { modulusLength: 1024 });
  const curve = generateKeyPairSync("ec", { namedCurve: "secp256k1" });
  test.for<[string, string, RegExp]>([
    ["no PEM", "hello", /no PEM text/],
    ["a certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", /no PEM text/],
    ["two requests", RECORDED + RECORDED, /no PEM text/],
    ["too long", RECORDED + " ".repeat(20_000), /too long/],
    ["something behind it", pem("CERTIFICATE REQUEST", Buffer.concat([derOf(RECORDED), Buffer.of(5, 0)])), /something follows/],
    ["another version", made({ version: integer(Uint8Array.of(1)) }), /version/],
    ["signed by another key", made({ by: newKeyPair() }), /signature is not by its key/],
    ["an unknown signature", made({ algorithm: sequence(oid("1.2.840.10045.4.1")) }), /not known or too weak/],
    ["a short key", made({ key: spki(short.publicKey) }), /its key must be/],
    ["a curve that is not taken", made({ key: spki(curve.publicKey) }), /its key must be/],
    ["no key", made({ key: sequence() }), /public key cannot be read/],
    ["no attributes", made({ attributes: explicit(1, sequence()) }), /attributes/],
    ["two names", made({ subject: sequence(CN, CN) }), /exactly one CN/],
    ["no name", made({ subject: sequence(attribute("2.5.4.10", "system:nodes")) }), /exactly one CN/],
    ["a country", made({ subject: sequence(CN, attribute("2.5.4.6", "DE")) }), /more than CN and O/],
    ["UTF-16", made({ subject: sequence(attribute("2.5.4.3", "x", 0x1e)) }), /not UTF8String/],
    ["a line break in a name", made({ subject: sequence(attribute("2.5.4.3", "a\nb")) }), /not printable/],
    ["an empty name", made({ subject: sequence(attribute("2.5.4.3", "")) }), /empty/],
    ["bytes that are no text", made({ subject: sequence(set(sequence(oid("2.5.4.3"), tagged(0x0c, Uint8Array.of(0xff))))) }), /not UTF-8/],
    ["33 groups", made({ subject: sequence(CN, ...Array.from({ length: 33 }, () => attribute("2.5.4.10", "g"))) }), /more than 32/],
  ])("%s", ([, text, why]) => {
    expect(() => readCertificateRequest(text)).toThrow(SyntaxError);
    expect(() => readCertificateRequest(text)).toThrow(why);
  });

  test("whatever is cut off or changed: SyntaxError or the same request, nothing else", () => {
    const der = derOf(RECORDED);
    for (let end = 0; end < der.length; end++)
      expect(() => readCertificateRequest(pem("CERTIFICATE REQUEST", der.subarray(0, end)))).toThrow(SyntaxError);
    for (let at = 0; at < der.length; at++)
      for (const mask of [1, 0x80]) {
        const changed = Buffer.from(der);
        changed[at]! ^= mask;
        expect(() => readCertificateRequest(pem("CERTIFICATE REQUEST", changed)), `byte ${at}`).toThrow(SyntaxError);
      }
  });
});

describe("DER", () => {
  test.for<[string, number[]]>([
    ["no length", [0x30]],
    ["an indefinite length", [0x30, 0x80, 0, 0]],
    ["a length in more bytes than it needs", [0x04, 0x81, 0x01, 0xff]],
    ["a length of five bytes", [0x04, 0x85, 0, 0, 0, 0, 1, 0]],
    ["a length beyond the end", [0x04, 0x05, 1]],
    ["a long tag", [0x1f, 0x81, 0x01, 0x00]],
  ])("%s is refused", ([, bytes]) => expect(() => elements(Uint8Array.from(bytes))).toThrow(SyntaxError));

  test("what is written is read", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 400 }), { maxLength: 5 }), (contents) => {
        const read = elements(Buffer.concat(contents.map((c) => octets(c))));
        expect(read.map((e) => Buffer.from(e.content).toString("hex"))).toEqual(contents.map((c) => Buffer.from(c).toString("hex")));
        expect(read.every((e) => e.tag === 0x04)).toBe(true);
      }),
    );
  });
  test("texts of both kinds", () => expect(elements(utf8String("é"))[0]).toMatchObject({ tag: 0x0c, content: Buffer.from("é") }));
});
