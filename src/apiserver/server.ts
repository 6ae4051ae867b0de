// The API server assembled: store, handler, TLS and unix socket, streams of the agents. Parts start in this order and stop in reverse.
import { constants, randomInt, randomUUID } from "node:crypto";
import { chmodSync, lstatSync, unlinkSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { connect, type ListenOptions } from "node:net";
import { hostname } from "node:os";
import { KINDS } from "../api/kinds.ts";
import { messageOf, TortieError } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import type { Store } from "../store/store.ts";
import { ACCESS_TOKEN } from "../api/accesstoken.ts";
import { REVOCATION } from "../api/revocation.ts";
import { auditEvent, type Audited } from "./identity/audit.ts";
import { AuditFile, type AuditFileOptions } from "./identity/auditfile.ts";
import { Authenticator, SOCKET_OWNER } from "./identity/authenticate.ts";
import type { Authority } from "./identity/authority.ts";
import { serverNames } from "./identity/authority.ts";
import { Credentials } from "./identity/credentials.ts";
import { spend } from "./identity/joining.ts";
import { serving } from "./identity/serving.ts";
import { Limits, type LimitValues, USUAL_LIMITS } from "./identity/limits.ts";
import { sameAuthority } from "./identity/sameauthority.ts";
import { completion } from "./identity/signing.ts";
import { follow } from "./objects/follow.ts";
import { seed } from "./objects/seed.ts";
import { startControllers } from "./objects/controllers.ts";
import { keepTrimmed } from "./objects/trim.ts";
import { Handler } from "./handler.ts";
import { type Carrier, Connections, serve } from "./http.ts";
import { campaign, type Duties, lead } from "./leader.ts";
import { Registry } from "./objects/registry.ts";
import { announce } from "./nodes/announce.ts";
import { keepGrantsShort } from "./nodes/grants.ts";
import { Streams } from "./nodes/streams.ts";
import { upgrades } from "./nodes/upgrade.ts";

export type ServerOptions = {
  readonly store: Store;
  /** Other servers may use the store too. */
  readonly shared: boolean;
  /** URL by which agents reach this one of several servers. @default where it listens */
  readonly advertise?: string;
  /** Further names and addresses that its certificate is good for, such as a load balancer's. */
  readonly names?: readonly string[];
  readonly authority: Authority;
  /** "192.168.10.1" or "::1"; port 0 takes a free one. */
  readonly listen: { readonly host: string; readonly port: number };
  /** Path of the admin's unix socket. */
  readonly socket: string;
  readonly version: string;
  readonly log: Log;
  readonly now: () => number;
  /** `required`: while the audit log cannot be written, nothing is changed. Absent: there is none. */
  readonly audit?: Omit<AuditFileOptions, "log"> & { readonly required: boolean };
  /** How long the server's own certificate holds, in seconds; it is renewed in time. @default a year */
  readonly certificateSeconds?: number;
  /** @default USUAL_LIMITS */
  readonly limits?: LimitValues;
};
export type RunningServer = {
  /** "https://127.0.0.1:6443" */
  readonly url: string;
  readonly socket: string;
  /** Ends watches and streams, waits for requests under way at most `graceMs`. */
  stop(graceMs?: number): Promise<void>;
};

const GRACE_MS = 3000;
/** Connections that wait to be taken; the kernel allows no more (net.core.somaxconn). */
const BACKLOG = 4096;
/** A connection outlives its certificate by so much. */
const CUT_MS = 1000;

/** Starts serving; resolves when both doors are open. Throws TortieError when one cannot be. */
export async function startServer(options: ServerOptions): Promise<RunningServer> {
  const { store, authority, log, now } = options;
  const complete = completion(authority, now);
  const registry = new Registry({ store, now, uid: randomUUID, random: (below) => randomInt(below), complete, beside: spend });
  if (options.shared) await sameAuthority(store, authority);
  await seed(registry, options.version);
  const credentials = new Credentials(now);
  const following = [
    await follow(registry, ACCESS_TOKEN, (tokens) => credentials.setTokens(tokens)),
    await follow(registry, REVOCATION, (all) => credentials.setRevocations(all)),
  ];
  const authenticator = new Authenticator(credentials);
  const auditFile = options.audit && new AuditFile({ ...options.audit, log });
  auditFile?.begin();
  const audit = (line: Audited): void => {
    const event = auditEvent(line, now(), randomUUID());
    if (event) auditFile?.write(JSON.stringify(event));
  };
  // What is done on nodes (exec, captures) is no request of the API that would be looked for there: it is told in the log too.
  const auditAloud = (line: Audited): void => {
    audit(line);
    log.info("audit", line);
  };
  const auditFailure = (): string | undefined => (options.audit?.required ? auditFile?.failure : undefined);
  const streams = new Streams(log);
  const limits = new Limits(options.limits ?? USUAL_LIMITS, () => performance.now());
  const handler = new Handler({
    kinds: KINDS,
    registry,
    streams,
    gitVersion: `v1.36.0+tortie-${options.version}`,
    now,
    random: Math.random,
    log,
    audit,
    auditFailure,
    limits,
    credentials,
  });
  const connections = new Connections();

  const identity = serving({
    authority,
    names: () => [
      ...new Set([
        ...serverNames(options.listen.host),
        ...(options.advertise === undefined ? [] : [hostOf(options.advertise)]),
        ...(options.names ?? []),
      ]),
    ],
    seconds: options.certificateSeconds,
    context: {
      ca: authority.caCertificate,
      minVersion: "TLSv1.3",
      // A resumed session would bring its peer's certificate only on some versions of Node.
      secureOptions: constants.SSL_OP_NO_TICKET,
    },
    now,
    log,
  });
  const tls = createTlsServer({
    ...identity.context,
    requestCert: true,
    // Decided for each request: /healthz and the like are for everybody.
    rejectUnauthorized: false,
    handshakeTimeout: 10_000,
  });
  const unix = createServer();
  const doors: readonly [Server, Carrier["authenticate"]][] = [
    [tls, authenticator.authenticate],
    [unix, () => SOCKET_OWNER],
  ];
  for (const [server, authenticate] of doors) {
    serve(server, { handler, connections, authenticate });
    upgrades(server, { registry, streams, authenticate, audit: auditAloud, auditFailure, limits, now });
  }
  try {
    await listen(tls, options.listen, `${options.listen.host}:${options.listen.port}`);
    await takeSocket(options.socket);
    await listen(unix, { path: options.socket }, options.socket);
  } catch (thrown) {
    for (const [server] of doors) server.close();
    throw thrown;
  }
  chmodSync(options.socket, 0o600);
  const duties: Duties = async () => {
    const controllers = await startControllers({ registry, kinds: KINDS, log, now, audit, auditFailure });
    const routines = [keepTrimmed(store, log), keepGrantsShort(registry, { now, log, audit: auditAloud })];
    return {
      async stop() {
        for (const routine of routines) clearInterval(routine);
        await controllers.stop();
      },
    };
  };
  const leader = options.shared ? campaign({ store, id: `${hostname()} ${process.pid} ${randomUUID()}`, duties, log }) : lead(duties, log);
  const stopRenewing = identity.keep(tls);
  const cutting = setInterval(() => authenticator.cut(), CUT_MS);

  const bound = tls.address();
  const port = typeof bound === "object" && bound ? bound.port : options.listen.port;
  const { host } = options.listen;
  const shown = host === "0.0.0.0" ? "127.0.0.1" : host === "::" || host === "" ? "[::1]" : host.includes(":") ? `[${host}]` : host;
  const url = `https://${shown}:${port}`;
  const announced = options.shared ? announce({ registry, url: options.advertise ?? url, now, log }) : undefined;
  return {
    url,
    socket: options.socket,
    async stop(graceMs = GRACE_MS) {
      clearInterval(cutting);
      stopRenewing();
      const closed = doors.map(([server]) => new Promise<void>((resolve) => server.close(() => resolve())));
      connections.endAll();
      streams.close();
      for (const [server] of doors) server.closeIdleConnections();
      const late = setTimeout(() => connections.destroyAll(), graceMs);
      await Promise.all([...closed, leader.stop(), announced?.stop()]);
      clearTimeout(late);
      for (const stop of following) stop();
      auditFile?.close();
      await store.close();
    },
  };
}

const hostOf = (url: string): string => new URL(url).hostname.replace(/^\[|\]$/g, "");

const LISTEN_WORDS: Readonly<Record<string, string>> = {
  EADDRINUSE: "something else listens there",
  EADDRNOTAVAIL: "this machine has no such address",
  EACCES: "permission denied",
  ENOTFOUND: "its name is not known",
};

function listen(server: Server, where: ListenOptions, shown: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (cause: NodeJS.ErrnoException) =>
      reject(
        new TortieError(`Cannot listen on ${shown}: ${LISTEN_WORDS[cause.code ?? ""] ?? messageOf(cause)}`, {
          hint: cause.code === "EADDRINUSE" ? "Stop the other server, or choose another --listen or --socket." : "",
          cause,
        }),
      ),
    );
    // Nobody else may connect in the moment before the mode is set.
    const mask = process.umask(0o177);
    server.listen({ ...where, backlog: BACKLOG }, resolve);
    process.umask(mask);
  });
}

/** sun_path of unix(7), but for the zero at its end; what is longer would be cut off. */
const SOCKET_PATH = 107;

/** A socket that a killed server left is removed; one that answers is not ours to take, and neither is a file that is none. Throws TortieError. */
async function takeSocket(path: string): Promise<void> {
  if (Buffer.byteLength(path) > SOCKET_PATH)
    throw new TortieError(`Cannot listen on ${path}: the path of a socket has at most ${SOCKET_PATH} bytes`, { hint: "Choose a shorter --socket." });
  const there = lstatSync(path, { throwIfNoEntry: false });
  if (!there) return;
  if (!there.isSocket()) throw new TortieError(`Cannot listen on ${path}: it is there, and is no socket`, { hint: "Choose another --socket." });
  const answers = await new Promise<boolean>((resolve) => {
    const probe = connect(path);
    probe.once("connect", () => {
      probe.destroy();
      resolve(true);
    });
    probe.once("error", () => resolve(false));
  });
  if (answers) throw new TortieError(`Cannot listen on ${path}: another server listens there`, { hint: "Stop it, or choose another --socket." });
  unlinkSync(path);
}
