// Requests that become WebSockets: an agent's stream, kubectl's exec into a pod (GET …/pods/NAME/exec, subprotocol v5.channel.k8s.io),
// and captures, key logs, audits and probes on a node (GET /apis/tortie.io/v1/nodes/NAME/capture …, the same subprotocol).
// Every refusal is an HTTP answer with a Status, which kubectl shows.
import type { IncomingMessage, Server } from "node:http";
import { STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";
import type { WebSocketServer } from "ws";
import type { GrantedAction } from "../../api/capturegrant.ts";
import { NODE } from "../../api/node.ts";
import { isNodeTask, type NodeTaskType, taskAskedOf, taskOf } from "../../api/nodetask.ts";
import { STREAM_PROTOCOL } from "../../api/nodestream.ts";
import { askedOf, captureOf } from "../../api/nodecapture.ts";
import { ApiError, badRequest, notFound, unauthorized, unavailable } from "../../api/status.ts";
import { answerError } from "../wire/answer.ts";
import type { AuditLine } from "../identity/audit.ts";
import { authorize } from "../identity/authorize.ts";
import { isAdmin, nodeOf } from "../identity/roles.ts";
import { bridge, EXEC_PROTOCOL } from "./exec.ts";
import { nodeOfPod } from "./pod.ts";
import { forbiddenText } from "../identity/forbidden.ts";
import { targetOf } from "../http.ts";
import { refuseImpersonation } from "../identity/impersonation.ts";
import type { Registry } from "../objects/registry.ts";
import { flag, parsePath, type ResourcePath, type User } from "../wire/request.ts";
import { type GrantInUse, grantFor } from "./grants.ts";
import type { Open, OpenExec, Streams } from "./streams.ts";

export type UpgradeOptions = {
  readonly registry: Registry;
  readonly streams: Streams;
  readonly authenticate: (message: IncomingMessage) => User;
  readonly audit: (line: AuditLine & Readonly<Record<string, unknown>>) => void;
  /** ms since 1970. */
  readonly now: () => number;
};
type Upgrade = { readonly message: IncomingMessage; readonly socket: Duplex; readonly head: Buffer; readonly user: User };

/** A message of a WebSocket may have so many bytes. */
const MAX_MESSAGE: number = 4 * 1024 * 1024;

export function upgrades(server: Server, options: UpgradeOptions): void {
  server.on("upgrade", (message: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on("error", () => socket.destroy());
    const user = options.authenticate(message);
    const { path } = targetOf(message);
    route({ message, socket, head, user }, options).catch((thrown: unknown) => {
      const { code, body } = answerError(thrown);
      options.audit({ verb: "connect", path, user: user.name, code, message: thrown instanceof ApiError ? thrown.message : "" });
      refuse(socket, code, body as string);
    });
  });
}

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
  if (asked?.group === "" && asked.plural === "pods" && ["attach", "portforward"].includes(asked.subresource))
    throw badRequest(`pods/${asked.subresource} is not served: pods/exec runs a command in the pod`);
  throw badRequest("this path cannot be upgraded");
}

async function agentStream({ message, socket, head, user }: Upgrade, { streams, audit }: UpgradeOptions, asked: ResourcePath): Promise<void> {
  const { group, plural: resource, subresource, namespace, name } = asked;
  if (!isAdmin(user) && nodeOf(user) !== name) throw forbiddenText(user, { verb: "get", group, resource, subresource, namespace, name });
  if (!offered(message).includes(STREAM_PROTOCOL)) throw badRequest(`an agent's stream speaks ${STREAM_PROTOCOL}`);
  const sockets = await webSockets();
  const line = { path: targetOf(message).path, user: user.name, source: message.socket.remoteAddress ?? "unix" };
  audit({ verb: "connect", ...line, code: 101 });
  const replaced = (): void => audit({ verb: "replace", ...line, message: `a second agent of node ${JSON.stringify(name)} took the stream` });
  sockets.handleUpgrade(message, socket, head, (ws) => streams.add(name, ws, replaced));
}

async function exec(upgrade: Upgrade, options: UpgradeOptions, asked: ResourcePath, query: URLSearchParams): Promise<void> {
  const { group, plural: resource, subresource, namespace, name } = asked;
  const refused = authorize(upgrade.user, { verb: "create", group, resource, subresource, namespace, name });
  if (refused) throw refused;
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
  await connect(upgrade, options, { verb: "exec", node, order: open, said: { command: open.command, tty: open.tty } });
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
  const { user } = upgrade;
  const { order, actions } = nodeOrder(subresource, query);
  const refused = authorize(user, { verb: "create", group, resource, subresource, namespace, name });
  const asker = { user: user.name, groups: user.groups, node: name, now: options.now() };
  const grant = refused && actions.length > 0 ? await grantFor(registry, asker, actions) : undefined;
  if (refused && !grant) throw refused;
  if (!(await registry.find(NODE, "", name))) throw notFound(NODE, name);
  if (typeof order === "string") throw badRequest(order);
  if (!streams.has(name)) throw unavailable(`the agent of node ${JSON.stringify(name)} is not connected to this server`);
  const said = { ...order, ...(grant ? { grant: grant.name, grantedFor: grant.reason } : {}) };
  await connect(upgrade, options, { verb: subresource, node: name, order, said, grant });
}

type Connection = {
  readonly verb: string;
  readonly node: string;
  readonly order: Open;
  /** For the audit log. */
  readonly said: object;
  /** What allows it: it ends with that. */
  readonly grant?: GrantInUse | undefined;
};

/** Joins the client to the node's agent, and writes down that, and how it ended. */
async function connect({ message, socket, head, user }: Upgrade, { streams, audit, now, registry }: UpgradeOptions, c: Connection): Promise<void> {
  const { verb, node, order, grant } = c;
  if ((message.headers.upgrade ?? "").toLowerCase() !== "websocket" || !offered(message).includes(EXEC_PROTOCOL))
    throw badRequest(
      `${verb} needs kubectl 1.30 or newer: this server speaks WebSocket (${EXEC_PROTOCOL}), not ${message.headers.upgrade ?? "SPDY"}`,
    );
  const sockets = await webSockets();
  const start = now();
  const line = { path: targetOf(message).path, user: user.name, source: message.socket.remoteAddress ?? "unix", node, ...c.said };
  audit({ verb, code: 101, ...line, start: new Date(start).toISOString() });
  sockets.handleUpgrade(message, socket, head, (ws) => {
    let release = (): void => {};
    const joined = bridge(
      ws,
      (listener) => streams.open(node, order, listener),
      ({ result, fromClient, toClient }) => {
        release();
        const [began, end] = [start, now()].map((ms) => new Date(ms).toISOString());
        audit({ verb, ended: true, ...line, start: began, end, bytesFromClient: fromClient, bytesToClient: toClient, result });
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

function refuse(socket: Duplex, code: number, body: string): void {
  if (!socket.writable) return void socket.destroy();
  socket.end(
    `HTTP/1.1 ${code} ${STATUS_CODES[code] ?? ""}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  );
}
