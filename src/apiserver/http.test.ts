// Requests over Node's own HTTP, on a socket: what only the carrier can do wrong.
import { mkdtempSync, rmSync } from "node:fs";
import { Agent, createServer, request, type IncomingMessage, type Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Connections, serve } from "./http.ts";
import { Limits } from "./identity/limits.ts";
import { AUTHENTICATED, VIEWERS } from "./identity/roles.ts";
import { freshWorlds, world } from "./world.cases.ts";

freshWorlds();
const WATCH = "/api/v1/namespaces?watch=true";

let directory: string;
let server: Server;
let agent: Agent;
let connections: Connections;
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "tortie-http-"));
  agent = new Agent({ keepAlive: true });
  connections = new Connections();
  server = createServer();
  serve(server, { handler: world.handler, connections, authenticate: () => ({ name: "eve", groups: [VIEWERS, AUTHENTICATED] }) });
  await new Promise<void>((resolve) => server.listen(join(directory, "s"), resolve));
});
afterEach(async () => {
  agent.destroy();
  connections.destroyAll();
  await new Promise((resolve) => server.close(resolve));
  rmSync(directory, { recursive: true });
});

const ask = (method: string, path: string): Promise<IncomingMessage> =>
  new Promise((resolve, reject) => {
    const r = request({ socketPath: join(directory, "s"), method, path, agent }, resolve);
    r.on("error", reject);
    r.end();
  });

test("HEAD of a watch is its headers, and counts as none afterwards", async () => {
  world.limit(new Limits({ perSecond: 1000, burst: 1000, watches: 2 }, () => 0));
  for (let i = 0; i < 5; i++) {
    const answer = await ask("HEAD", WATCH);
    expect([answer.statusCode, answer.headers["content-type"]]).toEqual([200, "application/json"]);
    answer.resume();
    await new Promise((resolve) => answer.once("end", resolve));
  }
  expect(world.audited.filter((l) => l.verb === "watch").map((l) => l.stage ?? "ResponseComplete")).toEqual(
    Array.from({ length: 5 }, () => ["ResponseStarted", "ResponseComplete"]).flat(),
  );
  for (const code of [200, 200, 429]) expect((await ask("GET", WATCH)).statusCode).toBe(code);
});
