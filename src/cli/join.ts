// tortie agent join: gives this machine its identity in a cluster, by a token, once. Afterwards the agent renews it by itself.
import { createPrivateKey, createPublicKey } from "node:crypto";
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { basename, dirname, resolve } from "node:path";
import { fetchAuthority, nodeOfToken, requestIdentity } from "../agent/enroll.ts";
import { nameProblem } from "../api/names.ts";
import { type KeyPair, newKeyPair, privateKeyPem } from "../apiserver/identity/certificate.ts";
import { writeKubeconfig, writePrivate } from "../apiserver/identity/kubeconfig.ts";
import { NODE_PREFIX } from "../apiserver/identity/roles.ts";
import { parseToken, type Token } from "../apiserver/identity/token.ts";
import { messageOf, TortieError } from "../base/errors.ts";
import { connectTo } from "../client/node.ts";
import { checkUrl } from "./connect.ts";

export type JoinOptions = { token?: string; tokenFile?: string; ca?: string; node?: string; kubeconfig: string };

export async function join(url: string, options: JoinOptions): Promise<number> {
  process.umask(0o077);
  checkUrl(url, "Cannot join by the server");
  const token = tokenOf(options);
  const ca = options.ca === undefined ? await fetchAuthority(url, pinned(token)) : read(options.ca, "the certificate authority");
  const client = connectTo({ url, ca, token: token.bearer });
  try {
    const node = nodeFor(options.node, await nodeOfToken(client));
    const path = resolve(options.kubeconfig);
    makeDirectory(dirname(path));
    const file = identityFile(path);
    // Kept until the certificate is here: the token serves this key alone, and the answer may be lost.
    const pending = `${file}.joining`;
    writePrivate(file, "the certificate", await requestIdentity(client, node, keyIn(pending)));
    rmSync(pending, { force: true });
    const identity = { file: basename(file) };
    writeKubeconfig(path, { server: url.replace(/\/+$/, ""), caCertificate: ca, user: `${NODE_PREFIX}${node}`, identity });
    process.stdout.write(`joined as node ${node}; now: tortie agent --node ${node} --kubeconfig ${path}\n`);
  } finally {
    await client.close();
  }
  return 0;
}

/** "…/agent.kubeconfig" → "…/agent.pem". */
const identityFile = (kubeconfig: string): string => `${kubeconfig.replace(/\.kubeconfig$/, "")}.pem`;

/** The key that an earlier try left at `path`, or a new one that now stands there. Throws TortieError. */
function keyIn(path: string): KeyPair {
  try {
    const privateKey = createPrivateKey(readFileSync(path));
    return { privateKey, publicKey: createPublicKey(privateKey) };
  } catch {
    const pair = newKeyPair();
    writePrivate(path, "the key", privateKeyPem(pair.privateKey));
    return pair;
  }
}

function tokenOf({ token, tokenFile }: JoinOptions): Token {
  if (token !== undefined && tokenFile !== undefined) throw new TortieError("Cannot join: --token and --token-file are given, one is enough");
  const text = tokenFile === undefined ? (token ?? process.env.TORTIE_TOKEN) : read(tokenFile === "-" ? 0 : tokenFile, "the token");
  if (text === undefined)
    throw new TortieError("Cannot join: there is no token", {
      hint: "`tortie server token create --node NAME` prints one; pass it in a file (--token-file FILE, or - for standard input) or in TORTIE_TOKEN.",
    });
  const parsed = parseToken(text.trim());
  // Not repeated: it is a secret, also when it is mistyped.
  if (!parsed) throw new TortieError("Cannot join: what was given has not the form of a token", { hint: "It is one line, as it was printed." });
  return parsed;
}

function pinned({ pin }: Token): string {
  if (pin === undefined)
    throw new TortieError("Cannot join: the token does not name the certificate authority", { hint: "Give its file with --ca." });
  return pin;
}

function nodeFor(asked: string | undefined, bound: string | undefined): string {
  const node = asked ?? bound;
  if (node === undefined) throw new TortieError("Cannot join: this token is for no node", { hint: "`tortie server token create --node NAME`" });
  if (bound !== undefined && asked !== undefined && asked !== bound)
    throw new TortieError(`Cannot join as node "${asked}": the token is for node "${bound}"`);
  const problem = nameProblem(node, "subdomain");
  if (problem !== undefined) throw new TortieError(`Cannot join as node "${node}": ${problem}`);
  return node;
}

function read(path: string | 0, what: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    throw new TortieError(`Cannot read ${what} from ${path === 0 ? "standard input" : `"${path}"`}: ${messageOf(cause)}`, { cause });
  }
}

function makeDirectory(path: string): void {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
  } catch (cause) {
    throw new TortieError(`Cannot make the directory "${path}": ${messageOf(cause)}`, { cause });
  }
}
