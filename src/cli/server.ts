// `tortie server`: the API server as a daemon, and `tortie server issue`: credentials for a node's agent.
import { mkdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { type Command, Option } from "commander";
import { openAuthority } from "../apiserver/identity/authority.ts";
import { ADMINS, NODES } from "../apiserver/identity/roles.ts";
import { writeKubeconfig } from "../apiserver/identity/kubeconfig.ts";
import { nameProblem } from "../api/names.ts";
import { messageOf, TortieError } from "../base/errors.ts";
import { addBackup, BACKUP_EXAMPLE } from "./server/backup.ts";
import { VERSION } from "./version.ts";
import { adviseOnNode, daemonLog, LOG_LEVELS, type LogLevel } from "./log.ts";
import { onAction, program, runProgram, withExamples } from "./program.ts";
import { addStoreOptions, type StoreOptions, storeOpener } from "./serverstore.ts";

type ServeOptions = StoreOptions & { data: string; listen: string; advertise?: string; kubeconfig?: string; socket?: string; logLevel: LogLevel };
type IssueOptions = { data: string; node: string; server: string; kubeconfig: string };

/** "192.168.10.1:6443", "[::1]:6443", ":6443". */
function parseListen(text: string): { host: string; port: number } {
  const m = /^(?:\[([0-9a-fA-F:.]+)\]|([^:]*)):([0-9]{1,5})$/.exec(text);
  if (!m || Number(m[3]) > 65535)
    throw new TortieError(`Cannot listen on "${text}": it must be HOST:PORT`, { hint: "For example 127.0.0.1:6443, [::1]:6443 or 0.0.0.0:6443." });
  const host = m[1] ?? m[2]!;
  return { host: host === "" ? "0.0.0.0" : host, port: Number(m[3]) };
}

function makeDirectory(path: string): void {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
  } catch (cause) {
    const taken = (cause as NodeJS.ErrnoException).code === "EEXIST";
    throw new TortieError(`Cannot use "${path}" as --data: ${taken ? "it is not a directory" : messageOf(cause)}`, { cause });
  }
}

/** The URL of an API server. Throws TortieError. */
function checkUrl(text: string, why: string): void {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol !== "https:" || url.hostname === "" || /\s/.test(text))
    throw new TortieError(`${why} ${JSON.stringify(text)}: it must be a URL of https`, {
      hint: "For example https://192.168.10.1:6443.",
    });
}

async function serve(options: ServeOptions): Promise<number> {
  // Whatever this process makes is its owner's alone: keys, store, socket.
  process.umask(0o077);
  const listen = parseListen(options.listen);
  const data = resolve(options.data);
  makeDirectory(data);
  const opener = storeOpener(options);
  if (options.advertise !== undefined) checkUrl(options.advertise, "Cannot be reached at");
  else if (opener.shared && ["0.0.0.0", "::"].includes(listen.host))
    throw new TortieError("Cannot share a store: agents are to reach each server, and --advertise does not say where this one is", {
      hint: "--advertise https://192.168.10.1:6443, or --listen with an address.",
    });
  const [log, { startServer }, { holdDirectory }] = await Promise.all([
    daemonLog(options.logLevel, {}),
    import("../apiserver/server.ts"),
    import("../apiserver/hold.ts"),
  ]);
  const release = holdDirectory(data);
  const authority = openAuthority(data, Date.now, { create: true });
  const store = await opener.open(join(data, "store"), log);
  const socket = resolve(options.socket ?? join(data, "server.sock"));
  const server = await startServer({
    store,
    shared: opener.shared,
    ...(options.advertise === undefined ? {} : { advertise: options.advertise }),
    authority,
    listen,
    socket,
    version: VERSION,
    log,
    now: Date.now,
  }).catch(async (thrown: unknown) => {
    await store.close();
    release();
    throw thrown;
  });
  try {
    if (options.kubeconfig !== undefined)
      writeKubeconfig(options.kubeconfig, {
        server: server.url,
        caCertificate: authority.caCertificate,
        user: "tortie-admin",
        identity: authority.issue({ commonName: "tortie-admin", organizations: [ADMINS] }, "client"),
      });
  } catch (thrown) {
    await server.stop(0);
    release();
    throw thrown;
  }
  const stopped = new Promise<NodeJS.Signals>((done) => {
    for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, done);
  });
  process.stdout.write(
    `ready: ${server.url} and unix:${server.socket}${options.kubeconfig === undefined ? "" : `; admin kubeconfig ${options.kubeconfig}`}\n`,
  );
  adviseOnNode(log);
  log.info("stopping", { signal: await stopped });
  await server.stop();
  release();
  return 0;
}

function issue(options: IssueOptions): number {
  process.umask(0o077);
  const problem = nameProblem(options.node, "subdomain");
  if (problem !== undefined) throw new TortieError(`Cannot issue a certificate for node "${options.node}": ${problem}`);
  checkUrl(options.server, "Cannot issue a certificate for the server");
  const authority = openAuthority(resolve(options.data), Date.now, { create: false });
  const user = `system:node:${options.node}`;
  writeKubeconfig(options.kubeconfig, {
    server: options.server,
    caCertificate: authority.caCertificate,
    user,
    identity: authority.issue({ commonName: user, organizations: [NODES] }, "client"),
  });
  process.stdout.write(`wrote ${options.kubeconfig} for node ${options.node}\n`);
  return 0;
}

export async function main(args: string[]): Promise<number> {
  const command: Command = program(
    "tortie server",
    "the API server: a Kubernetes-style API on TLS and on a unix socket, over an embedded store or an etcd",
    [
      "tortie server --data /var/lib/tortie --listen 192.168.10.1:6443 --kubeconfig admin.kubeconfig",
      "tortie server issue --data /var/lib/tortie --node k8s-w1 --server https://192.168.10.1:6443 --kubeconfig k8s-w1.kubeconfig",
      "tortie server --data /var/lib/tortie --store etcd=https://10.0.0.1:2379,https://10.0.0.2:2379 --etcd-ca ca.crt --etcd-cert tortie.crt --etcd-key tortie.key",
      BACKUP_EXAMPLE,
    ],
  )
    .option("--data <dir>", "directory of the store and of the certificate authority")
    .option("--listen <host:port>", "address of the TLS port", "127.0.0.1:6443")
    .option("--advertise <url>", "where agents reach this one of several servers (default: where it listens)")
    .option("--kubeconfig <file>", "write a kubeconfig for an admin here")
    .option("--socket <path>", "path of the admin's unix socket (default: DIR/server.sock)")
    .addOption(new Option("--log-level <level>", "how much to say").choices(LOG_LEVELS).default("info"))
    .option("--foreground", "stay in the foreground (always so)");
  addStoreOptions(command);
  onAction(command, (options: Omit<ServeOptions, "data"> & { data?: string }) => {
    if (options.data === undefined)
      throw new TortieError("Cannot start the server: --data is missing", { hint: "tortie server --help explains it." });
    return serve({ ...options, data: options.data });
  });
  const issuing = withExamples(command.command("issue").description("write a kubeconfig with a certificate for one node's agent"), [
    "tortie server issue --data /var/lib/tortie --node k8s-w1 --server https://192.168.10.1:6443 --kubeconfig k8s-w1.kubeconfig",
  ])
    .requiredOption("--node <name>", "name of the node")
    .requiredOption("--server <url>", "URL of the API server, as the node reaches it")
    .requiredOption("--kubeconfig <file>", "file to write");
  // --data also stands before the word issue; commander gives it to whichever it is written after.
  issuing.option("--data <dir>", "directory of the server");
  onAction(issuing, (options: Partial<IssueOptions>) => {
    const data = options.data ?? (command.opts().data as string | undefined);
    if (data === undefined) throw new TortieError("Cannot issue a certificate: --data is missing", { hint: "It is the --data of the server." });
    return issue({ ...(options as IssueOptions), data });
  });
  addBackup(command);
  command.enablePositionalOptions();
  return runProgram(command, args);
}
