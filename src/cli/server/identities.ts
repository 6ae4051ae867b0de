// The words of `tortie server` about who may come in: issue, kubeconfig, token, revoke. The first two sign with the authority in --data and need no server;
// the others ask a server that runs, by its unix socket or with an administrator's kubeconfig.
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { X509Certificate } from "node:crypto";
import { type Command, Option } from "commander";
import { userProblem } from "../../api/accesstoken.ts";
import { nameProblem } from "../../api/names.ts";
import { LONGEST_S, openAuthority } from "../../apiserver/identity/authority.ts";
import { writeKubeconfig } from "../../apiserver/identity/kubeconfig.ts";
import { ADMINS, NODE_PREFIX, NODES, VIEWERS } from "../../apiserver/identity/roles.ts";
import { messageOf, TortieError } from "../../base/errors.ts";
import { checkUrl } from "../connect.ts";
import { duration, onAction, withExamples } from "../program.ts";

type Reach = { data?: string; socket?: string; kubeconfig?: string };
type IssueOptions = { data?: string; node: string; server: string; kubeconfig: string; ttl?: number };
type KubeconfigOptions = Omit<IssueOptions, "node"> & { role: "admin" | "viewer"; user: string };
type CreateOptions = Reach & { node?: string; role?: "admin" | "viewer"; user?: string; ttl: number };
type RevokeOptions = Reach & { node?: string; user?: string; serial?: string; certificate?: string; reason?: string };

const DAY_S = 86_400;
const EXAMPLE = "--data /var/lib/tortie";

/** Adds the sub-commands. --data also stands before their word; commander gives it to whichever it is written after. */
export function addIdentities(server: Command): void {
  const dataOf = (options: { data?: string }): string => {
    const data = options.data ?? (server.opts().data as string | undefined);
    if (data === undefined) throw new TortieError("Cannot find the server: --data is missing", { hint: "It is the --data of the server." });
    return resolve(data);
  };
  const reach = (options: Reach): Reach => {
    const { kubeconfig, socket, data = server.opts().data as string | undefined } = options;
    if (kubeconfig !== undefined) return { kubeconfig };
    return socket === undefined || data !== undefined ? { data: dataOf(options), ...(socket === undefined ? {} : { socket }) } : { socket };
  };
  const ttl = (command: Command, usual: number, what: string): Command =>
    command.addOption(
      new Option("--ttl <time>", `how long ${what} holds, such as 90m, 24h or 30d`).argParser(duration("a time")).default(usual, `${usual / DAY_S}d`),
    );
  const offline = (command: Command): Command =>
    ttl(command, LONGEST_S, "the certificate")
      .requiredOption("--server <url>", "URL of the API server, as it is reached from there")
      .requiredOption("--kubeconfig <file>", "file to write")
      .option("--data <dir>", "directory of the server");
  const online = (command: Command): Command =>
    command
      .option("--data <dir>", "directory of the server: its unix socket is asked")
      .option("--socket <path>", "path of the server's unix socket (default: DIR/server.sock)")
      .option("--kubeconfig <file>", "ask the server of this kubeconfig, as its administrator");

  const issuing = withExamples(server.command("issue").description("write a kubeconfig with a certificate for one node's agent"), [
    `tortie server issue ${EXAMPLE} --node k8s-w1 --server https://192.168.10.1:6443 --kubeconfig k8s-w1.kubeconfig`,
  ]).requiredOption("--node <name>", "name of the node");
  onAction(offline(issuing), (options: IssueOptions) => issue({ ...options, data: dataOf(options) }));

  const kubeconfig = withExamples(server.command("kubeconfig").description("write a kubeconfig with a certificate for a person or a program"), [
    `tortie server kubeconfig ${EXAMPLE} --role viewer --user eve --server https://192.168.10.1:6443 --kubeconfig eve.kubeconfig --ttl 30d`,
  ])
    .addOption(new Option("--role <role>", "what it lets do").choices(["admin", "viewer"]).makeOptionMandatory())
    .requiredOption("--user <name>", "who it is, in the audit log");
  onAction(offline(kubeconfig), (options: KubeconfigOptions) => person({ ...options, data: dataOf(options) }));

  const token = server.command("token").description("bearer tokens: the server keeps their hashes alone");
  const creating = withExamples(token.command("create").description("make a token and print it, once"), [
    `tortie server token create ${EXAMPLE} --node k8s-w1 > k8s-w1.token`,
    `tortie server token create ${EXAMPLE} --role viewer --user dashboard --ttl 30d`,
  ])
    .option("--node <name>", "for the agent of this node, to join with")
    .addOption(new Option("--role <role>", "for a person or a program").choices(["admin", "viewer"]))
    .option("--user <name>", "who it is, in the audit log");
  onAction(online(ttl(creating, DAY_S, "the token")), async (options: CreateOptions) =>
    (await import("./tokens.ts")).createToken(tokenOf(options), reach(options)),
  );
  onAction(online(token.command("list").description("the tokens that were made, without their secrets")), async (options: Reach) =>
    (await import("./tokens.ts")).listTokens(reach(options)),
  );
  onAction(
    online(token.command("delete").argument("<id>", "first part of the token").description("end a token and the connections that came with it")),
    async (id: string, options: Reach) => (await import("./tokens.ts")).deleteToken(id, reach(options)),
  );

  const revoking = withExamples(
    server.command("revoke").description("refuse a certificate, or all that a node or user was given until now; open connections end"),
    [
      `tortie server revoke ${EXAMPLE} --node k8s-w1 --reason "stolen"`,
      `tortie server revoke ${EXAMPLE} --user eve`,
      `tortie server revoke ${EXAMPLE} --certificate eve.pem`,
    ],
  )
    .option("--node <name>", "what this node's agent was given, and tokens for it")
    .option("--user <name>", "what this user was given")
    .option("--serial <hex>", "one certificate, by its serial number")
    .option("--certificate <file>", "one certificate, by its PEM file")
    .option("--reason <text>", "why, for those who look later");
  onAction(online(revoking), async (options: RevokeOptions) => (await import("./tokens.ts")).revoke(revocationOf(options), reach(options)));
}

function issue({ data, node, server, kubeconfig, ttl }: IssueOptions & { data: string }): number {
  const problem = nameProblem(node, "subdomain");
  if (problem !== undefined) throw new TortieError(`Cannot issue a certificate for node "${node}": ${problem}`);
  const user = `${NODE_PREFIX}${node}`;
  writeIdentity({ data, server, kubeconfig, ttl, user, organization: NODES });
  process.stdout.write(`wrote ${kubeconfig} for node ${node}\n`);
  return 0;
}

function person({ data, role, user, server, kubeconfig, ttl }: KubeconfigOptions & { data: string }): number {
  const problem = userProblem(user);
  if (problem !== undefined) throw new TortieError(`Cannot issue a certificate for user "${user}": ${problem}`);
  writeIdentity({ data, server, kubeconfig, ttl, user, organization: role === "admin" ? ADMINS : VIEWERS });
  process.stdout.write(`wrote ${kubeconfig} for ${role} ${user}\n`);
  return 0;
}

type Written = { data: string; server: string; kubeconfig: string; ttl: number | undefined; user: string; organization: string };

function writeIdentity({ data, server, kubeconfig, ttl, user, organization }: Written): void {
  process.umask(0o077);
  if (ttl !== undefined && ttl > LONGEST_S)
    throw new TortieError(`Cannot issue a certificate for longer than ${LONGEST_S / DAY_S}d`, { hint: "Issue another before it expires." });
  checkUrl(server, "Cannot issue a certificate for the server");
  const authority = openAuthority(data, Date.now, { create: false });
  const identity = authority.issue({ commonName: user, organizations: [organization] }, "client", { seconds: ttl });
  writeKubeconfig(kubeconfig, { server, caCertificate: authority.caCertificate, user, identity });
}

function tokenOf({ node, role, user, ttl }: CreateOptions): { role: "admin" | "viewer" | "node"; user: string; seconds: number } {
  if (node !== undefined && role === undefined && user === undefined) return { role: "node", user: node, seconds: ttl };
  if (node === undefined && role !== undefined && user !== undefined) return { role, user, seconds: ttl };
  throw new TortieError("Cannot make a token: it is either for a --node, or for a --role and --user", {
    hint: "tortie server token create --help explains it.",
  });
}

function revocationOf({ node, user, serial, certificate, reason }: RevokeOptions): {
  user?: string;
  serial?: string;
  reason?: string;
} {
  if ([node, user, serial, certificate].filter((o) => o !== undefined).length !== 1)
    throw new TortieError("Cannot revoke: exactly one of --node, --user, --serial and --certificate must be given");
  const why = reason === undefined ? {} : { reason };
  if (node !== undefined) return { user: `${NODE_PREFIX}${node}`, ...why };
  if (user !== undefined) return { user, ...why };
  if (serial !== undefined) return { serial: serial.replaceAll(":", ""), ...why };
  const refused = (cause: unknown, words = messageOf(cause)): TortieError =>
    new TortieError(`Cannot read a certificate from "${certificate}": ${words}`, { cause });
  let pem: Buffer;
  try {
    pem = readFileSync(certificate!);
  } catch (cause) {
    throw refused(cause);
  }
  try {
    return { serial: new X509Certificate(pem).serialNumber, ...why };
  } catch (cause) {
    throw refused(cause, "it holds none");
  }
}
