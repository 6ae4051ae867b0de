// The server's own certificate authority, kept in DIR/pki: made at the first start, its key readable by the owner alone. It signs the server's
// certificate (anew at each start) and those of its clients.
import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { chmodSync, existsSync, linkSync, mkdirSync, readFileSync, unlinkSync, writeFileSync } from "node:fs";
import { hostname, networkInterfaces } from "node:os";
import { join } from "node:path";
import { messageOf, TortieError } from "../../base/errors.ts";
import { certificate, newKeyPair, privateKeyPem, type Subject } from "./certificate.ts";

const DAY_S = 86_400;
const CA_DAYS = 3650;
/** A certificate holds so many seconds at most; then also what was revoked can be forgotten. */
export const LONGEST_S: number = 365 * DAY_S;
/** Clocks of nodes differ. */
export const EARLY_MS = 300_000;
const CA_SUBJECT: Subject = { commonName: "tortie-ca" };

export type Identity = { readonly certificate: string; readonly key: string };
export type Lease = {
  /** Seconds from now; never longer than LONGEST_S, nor than the authority itself lives. @default LONGEST_S */
  readonly seconds?: number | undefined;
  /** DNS names and addresses of a server. */
  readonly names?: readonly string[];
};
export type Authority = {
  readonly caCertificate: string;
  /** A new key and its certificate. */
  issue(subject: Subject, use: "server" | "client", lease?: Lease): Identity;
  /** The certificate (PEM) of a key that somebody else has. */
  certify(subject: Subject, publicKey: KeyObject, use: "server" | "client", lease?: Lease): string;
};

/** A fresh authority that begins at `at` (ms since 1970). */
export function newAuthority(at: number): Identity {
  const pair = newKeyPair();
  const signed = certificate({
    subject: CA_SUBJECT,
    publicKey: pair.publicKey,
    issuer: { subject: CA_SUBJECT, key: pair.privateKey },
    notBefore: at - EARLY_MS,
    notAfter: at + CA_DAYS * DAY_S * 1000,
    use: "ca",
  });
  return { certificate: signed, key: privateKeyPem(pair.privateKey) };
}

/** The authority with this certificate and key. Throws when they do not belong together. */
export function authorityOf(identity: Identity, now: () => number): Authority {
  const key: KeyObject = createPrivateKey(identity.key);
  const own = new X509Certificate(identity.certificate);
  if (!own.checkPrivateKey(key)) throw new Error("ca.crt and ca.key do not belong together");
  const end = Date.parse(own.validTo);
  const certify: Authority["certify"] = (subject, publicKey, use, { seconds = LONGEST_S, names } = {}) => {
    const at = now();
    return certificate({
      subject,
      publicKey,
      issuer: { subject: CA_SUBJECT, key },
      notBefore: at - EARLY_MS,
      notAfter: Math.min(at + Math.min(seconds, LONGEST_S) * 1000, end),
      use,
      ...(names ? { names } : {}),
    });
  };
  return {
    caCertificate: identity.certificate,
    certify,
    issue(subject, use, lease) {
      const pair = newKeyPair();
      return { certificate: certify(subject, pair.publicKey, use, lease), key: privateKeyPem(pair.privateKey) };
    },
  };
}

/** Loads or makes the authority in `directory` (a server's --data). Throws TortieError. */
export function openAuthority(directory: string, now: () => number, options: { create: boolean }): Authority {
  const pki = join(directory, "pki");
  const [certificatePath, keyPath] = [join(pki, "ca.crt"), join(pki, "ca.key")];
  if (!existsSync(keyPath)) {
    if (!options.create)
      throw new TortieError(`Cannot issue a certificate: there is no certificate authority in "${pki}"`, {
        hint: "`tortie server --data DIR` makes one at its first start; give the same --data.",
      });
    keep(newAuthority(now()), pki, certificatePath, keyPath);
  }
  try {
    return authorityOf({ certificate: readFileSync(certificatePath, "utf8"), key: readFileSync(keyPath, "utf8") }, now);
  } catch (cause) {
    throw new TortieError(`Cannot read the certificate authority in "${pki}": ${messageOf(cause)}`, { cause });
  }
}

function keep(identity: Identity, pki: string, certificatePath: string, keyPath: string): void {
  mkdirSync(pki, { recursive: true, mode: 0o700 });
  chmodSync(pki, 0o700);
  // The key is there, whole, or not at all; it comes last, because its presence means that the authority exists.
  writeFileSync(certificatePath, identity.certificate, { mode: 0o644 });
  writeFileSync(`${keyPath}.new`, identity.key, { mode: 0o600 });
  linkSync(`${keyPath}.new`, keyPath);
  unlinkSync(`${keyPath}.new`);
}

/** Names that the server's certificate is good for: where it listens, this machine's names and addresses. */
export function serverNames(listenHost: string): string[] {
  const addresses = Object.values(networkInterfaces()).flatMap((list) => (list ?? []).map((i) => i.address.split("%")[0]!));
  const host = listenHost === "" || listenHost === "0.0.0.0" || listenHost === "::" ? [] : [listenHost];
  return [...new Set([...host, "localhost", "127.0.0.1", "::1", hostname(), ...addresses])];
}
