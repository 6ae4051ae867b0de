// Kubeconfig files: one server, one identity, readable by the owner alone.
import { renameSync, writeFileSync } from "node:fs";
import { messageOf, TortieError } from "../../base/errors.ts";
import type { Identity } from "./authority.ts";

export type Kubeconfig = { readonly server: string; readonly caCertificate: string; readonly user: string; readonly identity: Identity };

const base64 = (text: string): string => Buffer.from(text).toString("base64");

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
    client-certificate-data: ${base64(identity.certificate)}
    client-key-data: ${base64(identity.key)}
contexts:
- name: tortie
  context:
    cluster: tortie
    user: ${JSON.stringify(user)}
current-context: tortie
`;

/** Writes the file, mode 0600, whole or not at all. Throws TortieError. */
export function writeKubeconfig(path: string, config: Kubeconfig): void {
  try {
    writeFileSync(`${path}.new`, kubeconfigText(config), { mode: 0o600 });
    renameSync(`${path}.new`, path);
  } catch (cause) {
    throw new TortieError(`Cannot write the kubeconfig "${path}": ${messageOf(cause)}`, { cause });
  }
}
