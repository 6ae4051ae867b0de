// The server's own certificate authority, kept in DIR/pki: made at the first start, its key readable by the owner alone. It signs the server's
// certificate (serving.ts) and those of its clients.
import { createPrivateKey, createPublicKey, type KeyObject, X509Certificate } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
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
  /** When it ends, ms since 1970. */
  readonly expires: number;
  /** A new key and its certificate. */
  issue(subject: Subject, use: "server" | "client", lease?: Lease): Identity;
  /** The certificate (PEM) of a key that somebody else has. */
  certify(subject: Subject, publicKey: KeyObject, use: "server" | "client", lease?: Lease): string;
};

/** The authority's own certificate, from `at` (ms since 1970) on. */
const ownCertificate = (key: KeyObject, at: number): string =>
  certificate({
    subject: CA_SUBJECT,
    publicKey: createPublicKey(key),
    issuer: { subject: CA_SUBJECT, key },
    notBefore: at - EARLY_MS,
    notAfter: at + CA_DAYS * DAY_S * 1000,
    use: "ca",
  });

/** A fresh authority that begins at `at` (ms since 1970). */
export function newAuthority(at: number): Identity {
  const { privateKey } = newKeyPair();
  return { certificate: ownCertificate(privateKey, at), key: privateKeyPem(privateKey) };
}

/** OpenSSL's words say nothing to a person. */
function parsed<T>(what: string, parse: () => T): T {
  try {
    return parse();
  } catch {
    throw new Error(`${what} (PEM)`);
  }
}

/** The authority with this certificate and key. Throws when they do not belong together, or are none. */
export function authorityOf(identity: Identity, now: () => number): Authority {
  const key = parsed("ca.key holds no private key", () => createPrivateKey(identity.key));
  const own = parsed("ca.crt holds no certificate", () => new X509Certificate(identity.certificate));
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
    expires: end,
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
    if (existsSync(certificatePath))
      throw new TortieError(`Cannot use the certificate authority in "${pki}": ca.crt is there, and ca.key is not`, {
        hint: "Put ca.key back beside it. A new authority, which is made where there is neither, knows nobody whom the old one let in.",
      });
    if (!options.create)
      throw new TortieError(`Cannot issue a certificate: there is no certificate authority in "${pki}"`, {
        hint: "`tortie server --data DIR` makes one at its first start; give the same --data.",
      });
  }
  let authority: Authority;
  try {
    if (!existsSync(keyPath)) {
      mkdirSync(pki, { recursive: true, mode: 0o700 });
      chmodSync(pki, 0o700);
      keep(keyPath, privateKeyPem(newKeyPair().privateKey), 0o600);
    }
    const key = readFileSync(keyPath, "utf8");
    // The key is the authority: with another certificate of it, what it signed holds as before.
    if (!existsSync(certificatePath)) keep(certificatePath, ownCertificate(createPrivateKey(key), now()), 0o644);
    authority = authorityOf({ certificate: readFileSync(certificatePath, "utf8"), key }, now);
  } catch (cause) {
    throw new TortieError(`Cannot read the certificate authority in "${pki}": ${messageOf(cause)}`, { cause });
  }
  if (authority.expires > now()) return authority;
  throw new TortieError(
    `Cannot use the certificate authority in "${pki}": its certificate expired on ${new Date(authority.expires).toISOString().slice(0, 10)}`,
    {
      hint: `Move "${certificatePath}" away: the next start makes a new one for the same key; kubeconfigs need it then (docs/identity.md).`,
    },
  );
}

/** The file is there, whole, or not at all. */
function keep(path: string, text: string, mode: number): void {
  writeFileSync(`${path}.new`, text, { mode });
  renameSync(`${path}.new`, path);
}

/** Names that the server's certificate is good for: where it listens, this machine's names and addresses. */
export function serverNames(listenHost: string): string[] {
  const addresses = Object.values(networkInterfaces()).flatMap((list) => (list ?? []).map((i) => i.address.split("%")[0]!));
  const host = listenHost === "" || listenHost === "0.0.0.0" || listenHost === "::" ? [] : [listenHost];
  return [...new Set([...host, "localhost", "127.0.0.1", "::1", hostname(), ...addresses])];
}
