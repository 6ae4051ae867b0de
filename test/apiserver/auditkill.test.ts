// The audit log after kill -9 of the server: who got an answer stands in it, whole.
import { readFileSync } from "node:fs";
import { Agent, request } from "node:http";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { ServerHome } from "./process.ts";

let home: ServerHome;
beforeEach(() => void (home = new ServerHome()));
afterEach(() => home.remove());

test("a killed server leaves the line of every request that it answered", async () => {
  const WRITERS = 8;
  const answered: string[] = [];
  for (let round = 0; round < 5; round++) {
    const server = await home.start();
    const agent = new Agent({ keepAlive: true, maxSockets: WRITERS });
    let here = 0;
    // Resolves false when the server is gone.
    const write = (name: string): Promise<boolean> =>
      new Promise((resolve) => {
        const body = JSON.stringify({ metadata: { name } });
        const r = request(
          {
            socketPath: home.socket,
            agent,
            method: "POST",
            path: "/api/v1/namespaces/default/configmaps",
            headers: { "content-type": "application/json" },
          },
          (response) => {
            expect(response.statusCode).toBe(201);
            answered.push(response.headers["audit-id"] as string);
            here++;
            response.resume();
            response.on("close", () => resolve(true));
          },
        );
        r.on("error", () => resolve(false));
        r.end(body);
      });
    const kill = (): void => void (here >= 50 + 13 * round && server.child.kill("SIGKILL"));
    await Promise.all(
      Array.from({ length: WRITERS }, async (_, w) => {
        for (let i = 0; await write(`c-${round}-${w}-${i}`); i++) kill();
      }),
    );
    await server.ended;
    agent.destroy();
  }
  const lines = readFileSync(join(home.data, "audit.log"), "utf8").trimEnd().split("\n");
  // The kernel may have been in the middle of a line when the process was killed: it is not one of those that were answered.
  const whole = lines.filter((line) => line.endsWith("}"));
  const logged = new Set(whole.map((line) => (JSON.parse(line) as { auditID: string }).auditID));
  expect(lines.length - whole.length).toBeLessThanOrEqual(5);
  expect(answered.length).toBeGreaterThanOrEqual(5 * 50);
  expect(answered.filter((id) => !logged.has(id))).toEqual([]);
});
