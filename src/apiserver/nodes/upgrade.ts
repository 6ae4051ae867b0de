// Requests that become WebSockets: an agent's stream, kubectl's exec into a pod (GET …/pods/NAME/exec, subprotocol v5.channel.k8s.io),
// and captures on a node (GET /apis/tortie.io/v1/nodes/NAME/capture, the same subprotocol).
// Every refusal is an HTTP answer with a Status, which kubectl shows.
import type { IncomingMessage, Server } from "node:http";
import { STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";
import type { WebSocketServer } from "ws";
import type { Kind } from "../../api/kind.ts";
import { NODE } from "../../api/node.ts";
import { askedOf, captureOf } from "../../api/nodecapture.ts";
import type { Pod } from "../../api/pod.ts";
import { POD } from "../../api/pod.ts";
import { ApiError, badRequest, conflict, notFound, unauthorized, unavailable } from "../../api/status.ts";
import { answerError } from "../wire/answer.ts";
import type { AuditLine } from "../identity/audit.ts";
import { authorize } from "../identity/authorize.ts";
import { isAdmin, nodeOf } from "../identity/roles.ts";
import { bridge, EXEC_PROTOCOL } from "./exec.ts";
import { forbiddenText } from "../identity/forbidden.ts";
import { targetOf } from "../http.ts";
import { refuseImpersonation } from "../identity/impersonation.ts";
import type { Registry } from "../objects/registry.ts";
import { flag, parsePath, type ResourcePath, type User } from "../wire/request.ts";
import { type Open, type OpenExec, STREAM_PROTOCOL, type Streams } from "./streams.ts";

export type UpgradeOptions = {
  readonly registry: Registry;
  readonly streams: Streams;
  readonly authenticate: (message: IncomingMessage) => User;
  readonly audit: (line: AuditLine & Readonly<Record<string, unknown>>) => void;
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
  if (asked?.group === "tortie.io" && asked.plural === "nodes" && asked.subresource === "capture" && asked.name !== "")
    return capture(upgrade, options, asked, query);
  throw badRequest("this path cannot be upgraded");
}

async function agentStream({ message, socket, head, user }: Upgrade, { streams, audit }: UpgradeOptions, asked: ResourcePath): Promise<void> {
  const { group, plural: resource, subresource, namespace, name } = asked;
  if (!isAdmin(user) && nodeOf(user) !== name) throw forbiddenText(user, { verb: "get", group, resource, subresource, namespace, name });
  if (!offered(message).includes(STREAM_PROTOCOL)) throw badRequest(`an agent's stream speaks ${STREAM_PROTOCOL}`);
  const sockets = await webSockets();
  audit({ verb: "connect", path: targetOf(message).path, user: user.name, code: 101 });
  sockets.handleUpgrade(message, socket, head, (ws) => streams.add(name, ws));
}

async function exec(
  { message, socket, head, user }: Upgrade,
  { registry, streams, audit }: UpgradeOptions,
  asked: ResourcePath,
  query: URLSearchParams,
): Promise<void> {
  const { group, plural: resource, subresource, namespace, name } = asked;
  const refused = authorize(user, { verb: "create", group, resource, subresource, namespace, name });
  if (refused) throw refused;
  const pod = (await registry.find(POD as unknown as Kind, namespace, name)) as Pod | undefined;
  if (!pod) throw notFound(POD, name);
  const container = query.get("container") ?? "";
  if (container !== "" && !pod.spec.containers.some((c) => c.name === container))
    throw badRequest(`container ${container} is not valid for pod ${name}`);
  const node = pod.spec.nodeName;
  if (node === undefined || node === "") throw conflict(POD, name, "the pod is not assigned to a node yet");
  if (!streams.has(node))
    throw unavailable(`the agent of node ${JSON.stringify(node)}, which runs pod ${JSON.stringify(name)}, is not connected to this server`);
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
  await connect(
    { message, socket, head, user },
    { streams, audit },
    { verb: "exec", node, order: open, said: { command: open.command, tty: open.tty } },
  );
}

/** Everybody's packets pass a node: only who may do everything may see them. */
async function capture(upgrade: Upgrade, options: UpgradeOptions, asked: ResourcePath, query: URLSearchParams): Promise<void> {
  const { group, plural: resource, subresource, namespace, name } = asked;
  const refused = authorize(upgrade.user, { verb: "create", group, resource, subresource, namespace, name });
  if (refused) throw refused;
  if (!(await options.registry.find(NODE, "", name))) throw notFound(NODE, name);
  const order = captureOf(askedOf(query));
  if (typeof order === "string") throw badRequest(order);
  if (!options.streams.has(name)) throw unavailable(`the agent of node ${JSON.stringify(name)} is not connected to this server`);
  await connect(upgrade, options, { verb: "capture", node: name, order: { type: "capture", ...order }, said: { ...order } });
}

type Connection = { readonly verb: string; readonly node: string; readonly order: Open; readonly said: object };

/** Joins the client to the node's agent, and writes down that, and how it ended. */
async function connect({ message, socket, head, user }: Upgrade, options: Pick<UpgradeOptions, "streams" | "audit">, c: Connection): Promise<void> {
  const { verb, node, order } = c;
  if ((message.headers.upgrade ?? "").toLowerCase() !== "websocket" || !offered(message).includes(EXEC_PROTOCOL))
    throw badRequest(
      `${verb} needs kubectl 1.30 or newer: this server speaks WebSocket (${EXEC_PROTOCOL}), not ${message.headers.upgrade ?? "SPDY"}`,
    );
  const sockets = await webSockets();
  const line = { path: targetOf(message).path, user: user.name, source: message.socket.remoteAddress ?? "unix", node, ...c.said };
  options.audit({ verb, code: 101, ...line });
  sockets.handleUpgrade(message, socket, head, (ws) =>
    bridge(
      ws,
      (listener) => options.streams.open(node, order, listener),
      (result) => options.audit({ verb, ended: true, ...line, result }),
    ),
  );
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
