// Kubeconfig files: one server, one identity, readable by the owner alone.
import { renameSync, writeFileSync } from "node:fs";
import { messageOf, TortieError } from "../../base/errors.ts";
import type { Identity } from "./authority.ts";

export type Kubeconfig = {
  readonly server: string;
  readonly caCertificate: string;
  readonly user: string;
  /** Written into the file; or the name of a file beside it that has both certificate and key, and that is read anew when it changes. */
  readonly identity: Identity | { readonly file: string };
};

const base64 = (text: string): string => Buffer.from(text).toString("base64");

const credentials = (identity: Kubeconfig["identity"]): string =>
  "file" in identity
    ? `    client-certificate: ${JSON.stringify(identity.file)}\n    client-key: ${JSON.stringify(identity.file)}`
    : `    client-certificate-data: ${base64(identity.certificate)}\n    client-key-data: ${base64(identity.key)}`;

// JSON is YAML; but people read these files.
export const kubeconfigText = ({ server, caCertificate, user, identity }: Kubeconfig): string => `apiVersion: v1
kind: Config
clusters:
- name: tortie
  cluster:
    server: ${server}
    certificate-authority-data: ${base64(caCertificate)}
users:
- name: ${JSON.stringify(user)}
  user:
${credentials(identity)}
contexts:
- name: tortie
  context:
    cluster: tortie
    user: ${JSON.stringify(user)}
current-context: tortie
`;

/** Writes a file, mode 0600, whole or not at all. Throws TortieError. */
export function writePrivate(path: string, what: string, text: string): void {
  try {
    writeFileSync(`${path}.new`, text, { mode: 0o600 });
    renameSync(`${path}.new`, path);
  } catch (cause) {
    throw new TortieError(`Cannot write ${what} "${path}": ${messageOf(cause)}`, { cause });
  }
}

/** Writes the file, mode 0600, whole or not at all. Throws TortieError. */
export const writeKubeconfig = (path: string, config: Kubeconfig): void => writePrivate(path, "the kubeconfig", kubeconfigText(config));
