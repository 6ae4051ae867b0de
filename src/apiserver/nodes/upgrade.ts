// Requests that become WebSockets: an agent's stream, kubectl's exec into a pod (GET …/pods/NAME/exec, subprotocol v5.channel.k8s.io),
// and captures, key logs, audits and probes on a node (GET /apis/tortie.io/v1/nodes/NAME/capture …, the same subprotocol).
// Every refusal is an HTTP answer with a Status, which kubectl shows. They count as requests do, against the limits of who asks and, while they last, of watches.
import { randomUUID } from "node:crypto";
import type { IncomingMessage, Server } from "node:http";
import { STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";
import type { WebSocketServer } from "ws";
import type { GrantedAction } from "../../api/capturegrant.ts";
import { NODE } from "../../api/node.ts";
import { isNodeTask, type NodeTaskType, taskAskedOf, taskOf } from "../../api/nodetask.ts";
import { STREAM_PROTOCOL } from "../../api/nodestream.ts";
import { askedOf, captureOf } from "../../api/nodecapture.ts";
import { ApiError, badRequest, notFound, tooManyRequests, unauthorized, unavailable } from "../../api/status.ts";
import { answerError } from "../wire/answer.ts";
import type { Audited, AuditLine } from "../identity/audit.ts";
import { allowing } from "../identity/authorize.ts";
import { isAdmin, nodeOf } from "../identity/roles.ts";
import { bridge, EXEC_PROTOCOL } from "./exec.ts";
import { nodeOfPod } from "./pod.ts";
import { forbiddenText } from "../identity/forbidden.ts";
import { targetOf } from "../http.ts";
import { refuseImpersonation } from "../identity/impersonation.ts";
import type { Limits } from "../identity/limits.ts";
import type { Registry } from "../objects/registry.ts";
import { type ApiResponse, flag, parsePath, type ResourcePath, type User } from "../wire/request.ts";
import { type GrantInUse, grantFor } from "./grants.ts";
import type { Open, OpenExec, Streams } from "./streams.ts";

export type UpgradeOptions = {
  readonly registry: Registry;
  readonly streams: Streams;
  readonly authenticate: (message: IncomingMessage) => User;
  readonly audit: (line: Audited) => void;
  /** Why nothing is to be done until the audit log is well again, or undefined. */
  readonly auditFailure: () => string | undefined;
  readonly limits: Pick<Limits, "take" | "watch">;
  /** ms since 1970. */
  readonly now: () => number;
};
type Upgrade = {
  readonly message: IncomingMessage;
  readonly socket: Duplex;
  readonly head: Buffer;
  readonly user: User;
  /** What the audit log says of it, as far as it is known. */
  readonly line: { -readonly [K in keyof AuditLine]: AuditLine[K] };
};

/** What does the same, for who asks for what is not there. */
const INSTEAD: ReadonlyMap<string, string> = new Map([
  ["attach", "kubectl logs -f shows what the pod writes, and kubectl exec -it runs a shell in it"],
  ["portforward", "kubectl exec runs a command in the pod, on its network"],
]);

/** A message of a WebSocket may have so many bytes. */
const MAX_MESSAGE: number = 4 * 1024 * 1024;

export function upgrades(server: Server, options: UpgradeOptions): void {
  server.on("upgrade", (message: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on("error", () => socket.destroy());
    const user = options.authenticate(message);
    const line = lineOf(message, user, options.now());
    const room = options.limits.take(user, line.source);
    const answered = room === "yes" ? route({ message, socket, head, user, line }, options) : Promise.reject(tooManyRequests());
    answered.catch((thrown: unknown) => {
      const answer = answerError(thrown);
      const { reason = "", message: why = "" } = thrown instanceof ApiError ? thrown.status : {};
      // As of requests: of a row of refusals the first stands for all.
      if (room !== "no") options.audit({ ...line, code: answer.code, reason, message: user.refused ?? why });
      refuse(socket, answer, line.id);
    });
  });
}

function lineOf(message: IncomingMessage, user: User, received: number): Upgrade["line"] & { source: string; id: string } {
  const { path, query } = targetOf(message);
  const agent = message.headers["user-agent"];
  return {
    verb: "connect",
    path,
    ...(query.size > 0 ? { query: `?${query.toString()}` } : {}),
    user: user.name,
    groups: user.groups,
    ...(user.extra ? { extra: user.extra } : {}),
    id: randomUUID(),
    source: message.socket.remoteAddress ?? "unix",
    ...(agent === undefined ? {} : { agent }),
    received,
  };
}

/** Counts it among the watches of who asks until its connection ends. Throws ApiError 429. */
const held = ({ user, line, socket }: Upgrade, { limits }: UpgradeOptions): void => void socket.once("close", limits.watch(user, line.source ?? ""));

async function route(upgrade: Upgrade, options: UpgradeOptions): Promise<void> {
  const { path, query } = targetOf(upgrade.message);
  const asked = parsePath(path);
  if (upgrade.user.groups.includes("system:unauthenticated")) throw unauthorized();
  refuseImpersonation(upgrade.user, upgrade.message.headers);
  if (asked?.group === "tortie.io" && asked.plural === "nodes" && asked.subresource === "stream" && asked.name !== "")
    return agentStream(upgrade, options, asked);
  if (asked?.group === "" && asked.plural === "pods" && asked.subresource === "exec" && asked.name !== "")
    return exec(upgrade, options, asked, query);
  if (asked?.group === "tortie.io" && asked.plural === "nodes" && asked.name !== "" && isNodeOrder(asked.subresource))
    return onNode(upgrade, options, { ...asked, subresource: asked.subresource }, query);
  const instead = asked?.group === "" && asked.plural === "pods" ? INSTEAD.get(asked.subresource) : undefined;
  if (asked && instead !== undefined) {
    const { group, plural: resource, subresource, namespace, name } = asked;
    if (!allowing(upgrade.user, { verb: "create", group, resource, subresource }))
      throw forbiddenText(upgrade.user, { verb: "create", group, resource, subresource, namespace, name });
    throw badRequest(`pods/${subresource} is not served: ${instead}`);
  }
  throw badRequest("this path cannot be upgraded");
}

async function agentStream(upgrade: Upgrade, options: UpgradeOptions, asked: ResourcePath): Promise<void> {
  const { message, socket, head, user, line } = upgrade;
  const { streams, audit, now } = options;
  const { group, plural: resource, subresource, namespace, name } = asked;
  if (!isAdmin(user) && nodeOf(user) !== name) throw forbiddenText(user, { verb: "get", group, resource, subresource, namespace, name });
  if (!offered(message).includes(STREAM_PROTOCOL)) throw badRequest(`an agent's stream speaks ${STREAM_PROTOCOL}`);
  line.role = isAdmin(user) ? "admin" : "node";
  held(upgrade, options);
  const sockets = await webSockets();
  const start = new Date(now()).toISOString();
  audit({ ...line, code: 101, stage: "ResponseStarted", start });
  const replaced = (): void =>
    audit({ ...line, verb: "replace", code: 101, message: `a second agent of node ${JSON.stringify(name)} took the stream` });
  sockets.handleUpgrade(message, socket, head, (ws) => {
    ws.once("close", (result) => audit({ ...line, code: 101, ended: true, start, end: new Date(now()).toISOString(), result }));
    streams.add(name, ws, replaced);
  });
}

async function exec(upgrade: Upgrade, options: UpgradeOptions, asked: ResourcePath, query: URLSearchParams): Promise<void> {
  const { group, plural: resource, subresource, namespace, name } = asked;
  const { line, user } = upgrade;
  line.verb = "exec";
  const role = allowing(user, { verb: "create", group, resource, subresource });
  if (!role) throw forbiddenText(user, { verb: "create", group, resource, subresource, namespace, name });
  line.role = role.name;
  const node = await nodeOfPod(options, asked, query.get("container") ?? "");
  const open: OpenExec = {
    type: "exec",
    namespace,
    pod: name,
    command: query.getAll("command"),
    tty: flag(query, "tty"),
    stdin: flag(query, "stdin"),
    stdout: flag(query, "stdout"),
    stderr: flag(query, "stderr") && !flag(query, "tty"),
  };
  if (open.command.length === 0) throw badRequest("you must specify at least one command");
  await connect(upgrade, options, { node, order: open, said: { command: open.command, tty: open.tty } });
}

type NodeOrderType = "capture" | NodeTaskType;
const isNodeOrder = (subresource: string): subresource is NodeOrderType => subresource === "capture" || isNodeTask(subresource);

/** The order, or what is wrong with what is asked; and what a CaptureGrant must name to allow it: nothing for what is an administrator's alone. */
function nodeOrder(type: NodeOrderType, query: URLSearchParams): { order: Open | string; actions: readonly GrantedAction[] } {
  if (type !== "capture") return { order: taskOf(taskAskedOf(type, query)), actions: type === "keylog" ? ["keys"] : [] };
  const order = captureOf(askedOf(query));
  if (typeof order === "string") return { order, actions: ["capture"] };
  return { order: { type, ...order }, actions: order.keys ? ["capture", "keys"] : ["capture"] };
}

/** Everybody's packets pass a node: only who may do everything may look, and whom a CaptureGrant lets. */
async function onNode(
  upgrade: Upgrade,
  options: UpgradeOptions,
  asked: ResourcePath & { readonly subresource: NodeOrderType },
  query: URLSearchParams,
): Promise<void> {
  const { group, plural: resource, subresource, namespace, name } = asked;
  const { registry, streams } = options;
  const { user, line } = upgrade;
  line.verb = subresource;
  const { order, actions } = nodeOrder(subresource, query);
  const role = allowing(user, { verb: "create", group, resource, subresource });
  const asker = { user: user.name, groups: user.groups, node: name, now: options.now() };
  const grant = !role && actions.length > 0 ? await grantFor(registry, asker, actions) : undefined;
  if (role) line.role = role.name;
  else if (!grant) throw forbiddenText(user, { verb: "create", group, resource, subresource, namespace, name });
  if (!(await registry.find(NODE, "", name))) throw notFound(NODE, name);
  if (typeof order === "string") throw badRequest(order);
  if (!streams.has(name)) throw unavailable(`the agent of node ${JSON.stringify(name)} is not connected to this server`);
  const said = { ...order, ...(grant ? { grant: grant.name, grantedFor: grant.reason } : {}) };
  await connect(upgrade, options, { node: name, order, said, grant });
}

type Connection = {
  readonly node: string;
  readonly order: Open;
  /** For the audit log. */
  readonly said: object;
  /** What allows it: it ends with that. */
  readonly grant?: GrantInUse | undefined;
};

/** Joins the client to the node's agent, and writes down that, and how it ended. */
async function connect(upgrade: Upgrade, options: UpgradeOptions, { node, order, said, grant }: Connection): Promise<void> {
  const { message, socket, head } = upgrade;
  const { streams, audit, now, registry } = options;
  if ((message.headers.upgrade ?? "").toLowerCase() !== "websocket" || !offered(message).includes(EXEC_PROTOCOL))
    throw badRequest(
      `${upgrade.line.verb} needs kubectl 1.30 or newer: this server speaks WebSocket (${EXEC_PROTOCOL}), not ${message.headers.upgrade ?? "SPDY"}`,
    );
  const broken = options.auditFailure();
  if (broken !== undefined) throw unavailable(`the audit log cannot be written, so nothing is done on nodes: ${broken}`);
  held(upgrade, options);
  const sockets = await webSockets();
  const start = new Date(now()).toISOString();
  // Twice: what was asked may have fields that are called as the line's own, and these come first for those who read.
  const line = { ...upgrade.line, ...said, ...upgrade.line, node, code: 101, start };
  audit({ ...line, stage: "ResponseStarted" });
  sockets.handleUpgrade(message, socket, head, (ws) => {
    let release = (): void => {};
    const joined = bridge(
      ws,
      (listener) => streams.open(node, order, listener),
      ({ result, fromClient, toClient }) => {
        release();
        audit({ ...line, ended: true, end: new Date(now()).toISOString(), bytesFromClient: fromClient, bytesToClient: toClient, result });
      },
    );
    if (grant) release = grant.whenOver(registry, now, (why) => joined.end(why));
  });
}

const offered = (message: IncomingMessage): string[] => (message.headers["sec-websocket-protocol"] ?? "").split(",").map((p) => p.trim());

let made: Promise<WebSocketServer> | undefined;
// Loaded when the first agent or exec comes: the server starts without.
const webSockets = (): Promise<WebSocketServer> =>
  (made ??= import("ws").then(
    (ws) =>
      new ws.WebSocketServer({
        noServer: true,
        maxPayload: MAX_MESSAGE,
        perMessageDeflate: false,
        clientTracking: false,
        handleProtocols: (protocols) => [EXEC_PROTOCOL, STREAM_PROTOCOL].find((p) => protocols.has(p)) ?? false,
      }),
  ));

function refuse(socket: Duplex, { code, headers, body }: ApiResponse, auditId: string): void {
  if (!socket.writable) return void socket.destroy();
  const text = body as string;
  const all = { "audit-id": auditId, ...headers, "content-length": String(Buffer.byteLength(text)), connection: "close" };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.end(`HTTP/1.1 ${code} ${STATUS_CODES[code] ?? ""}\r\n${lines.join("")}\r\n${text}`);
}
