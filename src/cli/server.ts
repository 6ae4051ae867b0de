// `tortie server`: the API server as a daemon. Its words for identities (issue, kubeconfig, token, revoke) are in server/.
import { mkdirSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { type Command, Option } from "commander";
import { openAuthority } from "../apiserver/identity/authority.ts";
import { ADMINS } from "../apiserver/identity/roles.ts";
import { writeKubeconfig } from "../apiserver/identity/kubeconfig.ts";
import { nameProblem } from "../api/names.ts";
import { parseIp } from "../base/ip.ts";
import { messageOf, TortieError } from "../base/errors.ts";
import { addBackup, BACKUP_EXAMPLE } from "./server/backup.ts";
import { checkUrl } from "./connect.ts";
import { VERSION } from "./version.ts";
import { adviseOnNode, daemonLog, LOG_LEVELS, type LogLevel } from "./log.ts";
import { integer, onAction, program, runProgram } from "./program.ts";
import { addStoreOptions, type StoreOptions, storeOpener } from "./serverstore.ts";
import { addIdentities } from "./server/identities.ts";

type ServeOptions = StoreOptions & {
  data: string;
  listen: string;
  advertise?: string;
  tlsSan?: string[];
  kubeconfig?: string;
  socket?: string;
  logLevel: LogLevel;
  auditLog?: string;
  auditSize: number;
  auditKeep: number;
  auditRequired?: boolean;
  requestRate: number;
  watches: number;
};

/** "192.168.10.1:6443", "[::1]:6443", ":6443". */
function parseListen(text: string): { host: string; port: number } {
  const m = /^(?:\[([0-9a-fA-F:.]+)\]|([^:]*)):([0-9]{1,5})$/.exec(text);
  if (!m || Number(m[3]) > 65535)
    throw new TortieError(`Cannot listen on "${text}": it must be HOST:PORT`, { hint: "For example 127.0.0.1:6443, [::1]:6443 or 0.0.0.0:6443." });
  const host = m[1] ?? m[2]!;
  return { host: host === "" ? "0.0.0.0" : host, port: Number(m[3]) };
}

/** Of a certificate. Throws TortieError. */
function subjectName(text: string, before: readonly string[] = []): string[] {
  if (parseIp(text) === undefined && nameProblem(text.replace(/^\*\./, "").toLowerCase(), "subdomain") !== undefined)
    throw new TortieError(`Cannot use "${text}" as a name of this server: it must be a DNS name or an IP address`);
  return [...before, text];
}

function makeDirectory(path: string): void {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
  } catch (cause) {
    const taken = (cause as NodeJS.ErrnoException).code === "EEXIST";
    throw new TortieError(`Cannot use "${path}" as --data: ${taken ? "it is not a directory" : messageOf(cause)}`, { cause });
  }
}

async function serve(options: ServeOptions): Promise<number> {
  // Whatever this process makes is its owner's alone: keys, store, socket. It holds the authority's key: no core dump, and no inspector on SIGUSR1.
  process.umask(0o077);
  process.on("SIGUSR1", () => {});
  const listen = parseListen(options.listen);
  const data = resolve(options.data);
  makeDirectory(data);
  const opener = storeOpener(options);
  if (options.advertise !== undefined) checkUrl(options.advertise, "Cannot be reached at");
  else if (opener.shared && ["0.0.0.0", "::"].includes(listen.host))
    throw new TortieError("Cannot share a store: agents are to reach each server, and --advertise does not say where this one is", {
      hint: "--advertise https://192.168.10.1:6443, or --listen with an address.",
    });
  const [log, { forbidDumps }, { startServer }, { holdDirectory }] = await Promise.all([
    daemonLog(options.logLevel, {}),
    import("../sys/protect.ts"),
    import("../apiserver/server.ts"),
    import("../apiserver/hold.ts"),
  ]);
  if (!forbidDumps()) log.warn("core dumps of this process could not be switched off");
  if (opener.shared && options.advertise === undefined && ["127.0.0.1", "::1", "localhost"].includes(listen.host))
    log.warn("agents on other machines cannot reach this server where it listens: announce another address with --advertise", {
      listen: options.listen,
    });
  const release = holdDirectory(data);
  const authority = openAuthority(data, Date.now, { create: true });
  if ((statSync(join(data, "pki", "ca.key")).mode & 0o077) !== 0)
    log.warn("others than its owner can reach the certificate authority's key: chmod 600", { file: join(data, "pki", "ca.key") });
  const store = await opener.open(join(data, "store"), log);
  const socket = resolve(options.socket ?? join(data, "server.sock"));
  const audit = {
    path: resolve(options.auditLog ?? join(data, "audit.log")),
    maxBytes: options.auditSize * 1_000_000,
    keep: options.auditKeep,
    required: options.auditRequired ?? false,
  };
  const limits = { perSecond: options.requestRate, burst: 3 * options.requestRate, watches: options.watches };
  const server = await startServer({
    store,
    shared: opener.shared,
    ...(options.advertise === undefined ? {} : { advertise: options.advertise }),
    ...(options.tlsSan === undefined ? {} : { names: options.tlsSan }),
    authority,
    listen,
    socket,
    version: VERSION,
    log,
    now: Date.now,
    audit,
    limits,
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

export async function main(args: string[]): Promise<number> {
  const command: Command = program(
    "tortie server",
    "the API server: a Kubernetes-style API on TLS and on a unix socket, over an embedded store or an etcd",
    [
      "tortie server --data /var/lib/tortie --listen 192.168.10.1:6443 --kubeconfig admin.kubeconfig",
      "tortie server token create --data /var/lib/tortie --node k8s-w1",
      "tortie server --data /var/lib/tortie --store etcd=https://10.0.0.1:2379,https://10.0.0.2:2379 --etcd-ca ca.crt --etcd-cert tortie.crt --etcd-key tortie.key",
      BACKUP_EXAMPLE,
    ],
  )
    .option("--data <dir>", "directory of the store and of the certificate authority")
    .option("--listen <host:port>", "address of the TLS port", "127.0.0.1:6443")
    .option("--advertise <url>", "where agents reach this one of several servers (default: where it listens)")
    .option(
      "--tls-san <name>",
      "further name or address for the server's certificate, such as a load balancer's; may be given several times",
      subjectName,
    )
    .option("--kubeconfig <file>", "write a kubeconfig for an admin here")
    .option("--socket <path>", "path of the admin's unix socket (default: DIR/server.sock)")
    .addOption(new Option("--log-level <level>", "how much to say").choices(LOG_LEVELS).default("info"))
    .option("--audit-log <file>", "who asked what, and what came of it, a line of JSON each (default: DIR/audit.log)")
    .option("--audit-size <MB>", "put the audit log aside when it has this size", integer("a size in MB", 1, 100_000), 100)
    .option("--audit-keep <n>", "files of the audit log that are kept", integer("a number of files", 1, 1000), 10)
    .option("--audit-required", "change nothing while the audit log cannot be written")
    .option("--request-rate <n>", "requests a second of one identity; administrators are not limited", integer("a rate", 1, 1_000_000), 200)
    .option("--watches <n>", "watches at a time of one identity; administrators are not limited", integer("a number of watches", 1, 1_000_000), 200)
    .option("--foreground", "stay in the foreground (always so)");
  addStoreOptions(command);
  onAction(command, (options: Omit<ServeOptions, "data"> & { data?: string }) => {
    if (options.data === undefined)
      throw new TortieError("Cannot start the server: --data is missing", { hint: "tortie server --help explains it." });
    return serve({ ...options, data: options.data });
  });
  addIdentities(command);
  addBackup(command);
  command.enablePositionalOptions();
  return runProgram(command, args);
}
