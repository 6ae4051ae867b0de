// The server's own certificate authority, kept in DIR/pki: made at the first start, its key readable by the owner alone. It signs the server's
// certificate (anew at each start) and those of its clients.
import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { chmodSync, existsSync, linkSync, mkdirSync, readFileSync, unlinkSync, writeFileSync } from "node:fs";
import { hostname, networkInterfaces } from "node:os";
import { join } from "node:path";
import { messageOf, TortieError } from "../../base/errors.ts";
import { certificate, newKeyPair, privateKeyPem, type Subject } from "./certificate.ts";

const DAY_MS = 86_400_000;
const CA_DAYS = 3650;
const LEAF_DAYS = 365;
/** Clocks of nodes differ. */
const EARLY_MS = 300_000;
const CA_SUBJECT: Subject = { commonName: "tortie-ca" };

export type Identity = { readonly certificate: string; readonly key: string };
export type Authority = { readonly caCertificate: string; issue(subject: Subject, use: "server" | "client", names?: readonly string[]): Identity };

/** Loads or makes the authority in `directory` (a server's --data). Throws TortieError. */
export function openAuthority(directory: string, now: () => number, options: { create: boolean }): Authority {
  const pki = join(directory, "pki");
  const [certificatePath, keyPath] = [join(pki, "ca.crt"), join(pki, "ca.key")];
  if (!existsSync(keyPath)) {
    if (!options.create)
      throw new TortieError(`Cannot issue a certificate: there is no certificate authority in "${pki}"`, {
        hint: "`tortie server --data DIR` makes one at its first start; give the same --data.",
      });
    create(pki, certificatePath, keyPath, now());
  }
  let caCertificate: string;
  let key: KeyObject;
  try {
    caCertificate = readFileSync(certificatePath, "utf8");
    key = createPrivateKey(readFileSync(keyPath));
    if (!new X509Certificate(caCertificate).checkPrivateKey(key)) throw new Error("ca.crt and ca.key do not belong together");
  } catch (cause) {
    throw new TortieError(`Cannot read the certificate authority in "${pki}": ${messageOf(cause)}`, { cause });
  }
  return {
    caCertificate,
    issue(subject, use, names) {
      const pair = newKeyPair();
      const at = now();
      const signed = certificate({
        subject,
        publicKey: pair.publicKey,
        issuer: { subject: CA_SUBJECT, key },
        notBefore: at - EARLY_MS,
        notAfter: Math.min(at + LEAF_DAYS * DAY_MS, Date.parse(new X509Certificate(caCertificate).validTo)),
        use,
        ...(names ? { names } : {}),
      });
      return { certificate: signed, key: privateKeyPem(pair.privateKey) };
    },
  };
}

function create(pki: string, certificatePath: string, keyPath: string, at: number): void {
  mkdirSync(pki, { recursive: true, mode: 0o700 });
  chmodSync(pki, 0o700);
  const pair = newKeyPair();
  const signed = certificate({
    subject: CA_SUBJECT,
    publicKey: pair.publicKey,
    issuer: { subject: CA_SUBJECT, key: pair.privateKey },
    notBefore: at - EARLY_MS,
    notAfter: at + CA_DAYS * DAY_MS,
    use: "ca",
  });
  // The key is there, whole, or not at all; it comes last, because its presence means that the authority exists.
  writeFileSync(certificatePath, signed, { mode: 0o644 });
  writeFileSync(`${keyPath}.new`, privateKeyPem(pair.privateKey), { mode: 0o600 });
  linkSync(`${keyPath}.new`, keyPath);
  unlinkSync(`${keyPath}.new`);
}

/** Names that the server's certificate is good for: where it listens, this machine's names and addresses. */
export function serverNames(listenHost: string): string[] {
  const addresses = Object.values(networkInterfaces()).flatMap((list) => (list ?? []).map((i) => i.address.split("%")[0]!));
  const host = listenHost === "" || listenHost === "0.0.0.0" || listenHost === "::" ? [] : [listenHost];
  return [...new Set([...host, "localhost", "127.0.0.1", "::1", hostname(), ...addresses])];
}
