// Requests for certificates: PKCS#10, RFC 2986. Made by those who join, read by the server. Nothing in one is believed but that its sender has the key.
import { createPublicKey, type KeyObject, sign, verify } from "node:crypto";
import { equal } from "../../base/bytes.ts";
import { COMMON_NAME, ECDSA_SHA256, nameOf, ORGANIZATION, pem, spki, type Subject } from "./certificate.ts";
import { bits, type Der, type Element, elements, integer, oid, sequence, tagged } from "./der.ts";

export type CertificateRequest = {
  readonly subject: Required<Subject>;
  readonly publicKey: KeyObject;
  /** It asks for more than a subject: DNS names, addresses, other extensions. */
  readonly hasExtensions: boolean;
};

const LABEL = "CERTIFICATE REQUEST";
/** A request with the largest key that is taken has 3 KB. */
const LONGEST = 16_384;

/** A request for `subject` as PEM, signed with the private key. */
export function certificateRequest(subject: Subject, pair: { publicKey: KeyObject; privateKey: KeyObject }): string {
  const info = sequence(integer(Uint8Array.of(0)), nameOf(subject), spki(pair.publicKey), tagged(0xa0));
  return pem(LABEL, sequence(info, ECDSA_SHA256, bits(sign("sha256", info, pair.privateKey))));
}

/** The hash of each kind of signature; null: the algorithm has its own. */
const SIGNATURES: readonly (readonly [Der, string | null])[] = [
  [oid("1.2.840.10045.4.3.2"), "sha256"],
  [oid("1.2.840.10045.4.3.3"), "sha384"],
  [oid("1.2.840.10045.4.3.4"), "sha512"],
  [oid("1.2.840.113549.1.1.11"), "sha256"],
  [oid("1.2.840.113549.1.1.12"), "sha384"],
  [oid("1.2.840.113549.1.1.13"), "sha512"],
  [oid("1.3.101.112"), null],
];
const EXTENSION_REQUEST = oid("1.2.840.113549.1.9.14");
/** Tags of the texts that names are written in: UTF8String, PrintableString, IA5String. */
const TEXTS = [0x0c, 0x13, 0x16];
const [SEQUENCE, SET, BITS] = [0x30, 0x31, 0x03];

const fail = (why: string): never => {
  throw new SyntaxError(why);
};
/** The parts of a SEQUENCE or SET that has exactly `count` of them, or any number. */
function parts(element: Element | undefined, tag: number, count?: number): Element[] {
  if (element?.tag !== tag) return fail("malformed request: a part is missing or has another type");
  const found = elements(element.content);
  return count === undefined || found.length === count ? found : fail("malformed request: it has more or fewer parts than it must");
}

/** Reads a PEM text and verifies that its sender has the private key. Throws SyntaxError: malformed, unknown or weak keys, or not signed with its key. */
export function readCertificateRequest(text: string): CertificateRequest {
  if (text.length > LONGEST) fail("the request is too long");
  const body = /^\s*-----BEGIN (?:NEW )?CERTIFICATE REQUEST-----\s([A-Za-z0-9+/=\s]+)-----END (?:NEW )?CERTIFICATE REQUEST-----\s*$/.exec(text)?.[1];
  const der = Buffer.from(body ?? fail(`it is no PEM text of type "${LABEL}"`), "base64");
  const [whole, ...after] = elements(der);
  if (after.length > 0) fail("malformed request: something follows it");
  const [info, algorithm, signature] = parts(whole, SEQUENCE, 3);
  const [version, subject, key, attributes] = parts(info, SEQUENCE, 4);
  if (version!.tag !== 0x02 || !equal(version!.content, Uint8Array.of(0))) fail("malformed request: its version is not 1");
  if (attributes!.tag !== 0xa0) fail("malformed request: it has no attributes");
  const publicKey = publicKeyOf(key!);
  verifySignature(info!, parts(algorithm, SEQUENCE)[0], signature!, publicKey);
  return { subject: subjectOf(subject!), publicKey, hasExtensions: elements(attributes!.content).some(asksExtensions) };
}

function publicKeyOf(key: Element): KeyObject {
  let publicKey: KeyObject;
  try {
    publicKey = createPublicKey({ key: Buffer.from(key.whole), format: "der", type: "spki" });
  } catch {
    return fail("its public key cannot be read");
  }
  const { namedCurve, modulusLength = 0 } = publicKey.asymmetricKeyDetails ?? {};
  const strong =
    publicKey.asymmetricKeyType === "ed25519" ||
    (publicKey.asymmetricKeyType === "ec" && ["prime256v1", "secp384r1", "secp521r1"].includes(namedCurve ?? "")) ||
    (publicKey.asymmetricKeyType === "rsa" && modulusLength >= 2048 && modulusLength <= 8192);
  return strong ? publicKey : fail("its key must be on P-256, P-384 or P-521, of Ed25519, or of RSA with 2048 to 8192 bits");
}

function verifySignature(info: Element, algorithm: Element | undefined, signature: Element, key: KeyObject): void {
  const known = SIGNATURES.find(([id]) => algorithm !== undefined && equal(id, algorithm.whole));
  if (!known) return fail("it is signed in a way that is not known or too weak");
  if (signature.tag !== BITS || signature.content[0] !== 0) return fail("malformed request: its signature is no bit string");
  let good = false;
  try {
    good = verify(known[1], info.whole, key, signature.content.subarray(1));
  } catch {
    // The algorithm does not fit the key.
  }
  if (!good) fail("its signature is not by its key");
}

function textOf(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return fail("its subject has a text that is not UTF-8");
  }
}

function subjectOf(name: Element): Required<Subject> {
  const commonNames: string[] = [];
  const organizations: string[] = [];
  for (const attribute of parts(name, SEQUENCE).flatMap((set) => parts(set, SET))) {
    const [type, value] = parts(attribute, SEQUENCE, 2);
    const list = equal(type!.whole, COMMON_NAME) ? commonNames : equal(type!.whole, ORGANIZATION) ? organizations : undefined;
    if (!list) return fail("its subject has more than CN and O");
    if (!TEXTS.includes(value!.tag)) return fail("its subject has a text that is not UTF8String, PrintableString or IA5String");
    const text = textOf(value!.content);
    // A control character in a name is there to deceive somebody.
    if (text === "" || text.length > 253 || /\p{Cc}/u.test(text)) return fail("its subject has a name that is empty, too long or not printable");
    list.push(text);
  }
  if (commonNames.length !== 1) return fail("its subject must have exactly one CN");
  if (organizations.length > 32) return fail("its subject has more than 32 O");
  return { commonName: commonNames[0]!, organizations };
}

const asksExtensions = (attribute: Element): boolean => {
  const [type, values] = parts(attribute, SEQUENCE, 2);
  return equal(type!.whole, EXTENSION_REQUEST) && parts(values, SET).some((list) => elements(list.content).length > 0);
};
