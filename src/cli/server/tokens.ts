// Tokens and revocations of a server that runs. A token is made here: the server sees its hash, never the token.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ACCESS_TOKEN } from "../../api/accesstoken.ts";
import { apiVersionOf } from "../../api/kind.ts";
import { REVOCATION } from "../../api/revocation.ts";
import { ownerOf } from "../../apiserver/identity/credentials.ts";
import { hashOf, newToken, pinOf } from "../../apiserver/identity/token.ts";
import { messageOf, TortieError } from "../../base/errors.ts";
import { isApiError } from "../../api/status.ts";
import { type Endpoint, loadKubeconfig } from "../../client/kubeconfig.ts";
import { connectTo } from "../../client/node.ts";
import type { RestClient } from "../../client/rest.ts";
import { tableOf } from "../calicoctl/table.ts";

type Reach = { data?: string; socket?: string; kubeconfig?: string };

/** Works with a client of the server, and closes it. */
async function asking<T>(reach: Reach, work: (client: RestClient, endpoint: Endpoint) => Promise<T>): Promise<T> {
  const socketPath = reach.socket ?? join(reach.data ?? "", "server.sock");
  const endpoint: Endpoint = reach.kubeconfig === undefined ? { url: `unix:${socketPath}`, socketPath } : loadKubeconfig(reach.kubeconfig);
  const client = connectTo(endpoint);
  try {
    return await work(client, endpoint);
  } finally {
    await client.close();
  }
}

type Wanted = { role: "admin" | "viewer" | "node"; user: string; seconds: number };

export function createToken({ role, user, seconds }: Wanted, reach: Reach): Promise<number> {
  return asking(reach, async (client, endpoint) => {
    // Who joins does not know the authority yet.
    const ca = role === "node" ? authorityOf(reach, endpoint) : undefined;
    const pin = ca === undefined ? "" : `.${pinOf(ca)}`;
    const token = newToken();
    const expires = `${new Date(Date.now() + seconds * 1000).toISOString().slice(0, 19)}Z`;
    await client.create(ACCESS_TOKEN, {
      apiVersion: apiVersionOf(ACCESS_TOKEN),
      kind: ACCESS_TOKEN.kind,
      metadata: { name: token.id },
      spec: { role, user, hash: hashOf(token.bearer), expires },
    });
    process.stdout.write(`${token.bearer}${pin}\n`);
    process.stderr.write(
      role === "node"
        ? `for node ${user}, once, until ${expires}: tortie agent join https://SERVER:6443 --token-file FILE\n`
        : `for ${role} ${user}, until ${expires}: the token of a kubeconfig's user\n`,
    );
    return 0;
  });
}

export function listTokens(reach: Reach): Promise<number> {
  return asking(reach, async (client) => {
    const rows = (await client.list(ACCESS_TOKEN)).items.map(({ metadata, spec, status }) => [
      metadata.name,
      spec.role,
      spec.user,
      status?.used ?? "",
      spec.expires + (Date.parse(spec.expires) <= Date.now() ? " (over)" : ""),
    ]);
    process.stdout.write(tableOf([["ID", "ROLE", "USER", "USED", "EXPIRES"], ...rows]));
    return 0;
  });
}

export function deleteToken(id: string, reach: Reach): Promise<number> {
  return asking(reach, async (client) => {
    try {
      // Who pastes the whole token means its first part, and must not see the rest again.
      await client.delete(ACCESS_TOKEN, id.split(".")[0]!);
    } catch (thrown) {
      if (!isApiError(thrown, "NotFound")) throw thrown;
      throw new TortieError("Cannot delete the token: there is none with this ID", { hint: "`tortie server token list` shows them.", cause: thrown });
    }
    process.stdout.write(`deleted token ${id.split(".")[0]!}\n`);
    return 0;
  });
}

export function revoke(spec: { user?: string; serial?: string; reason?: string }, reach: Reach): Promise<number> {
  return asking(reach, async (client) => {
    const made = await client.create(REVOCATION, {
      apiVersion: apiVersionOf(REVOCATION),
      kind: REVOCATION.kind,
      metadata: { name: "", generateName: "revoked-" },
      spec,
    });
    // Refused they are already; now they are gone as well.
    const tokens = (await client.list(ACCESS_TOKEN)).items.filter((t) => ownerOf(t) === spec.user);
    for (const { metadata } of tokens) await client.delete(ACCESS_TOKEN, metadata.name).catch(unlessGone);
    const what = spec.serial === undefined ? `all that ${spec.user} was given until now` : `the certificate with the serial number ${spec.serial}`;
    process.stdout.write(`refused from now on: ${what} (${made.metadata.name})\n`);
    return 0;
  });
}

function unlessGone(thrown: unknown): void {
  if (!isApiError(thrown, "NotFound")) throw thrown;
}

/** The certificate authority of the server that is asked. Throws TortieError. */
function authorityOf({ data, kubeconfig }: Reach, endpoint: Endpoint): string | undefined {
  if (kubeconfig !== undefined) return endpoint.ca;
  if (data === undefined)
    throw new TortieError("Cannot make a token for a node: it names the server's certificate authority, which is in its --data", {
      hint: "Give --data too, or --kubeconfig.",
    });
  const path = join(data, "pki", "ca.crt");
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    throw new TortieError(`Cannot read the certificate authority "${path}": ${messageOf(cause)}`, { cause });
  }
}
