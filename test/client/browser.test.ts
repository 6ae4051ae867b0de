// The client in a real browser, through the package's public names: lists and watches the real server behind `kubectl proxy`, and behind a gateway of another
// origin that wants a bearer token; goes on after the server was killed.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, request, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { FELIX_CONFIGURATION, type FelixConfiguration } from "../../src/api/felixconfiguration.ts";
import { bundle, Chromium, type Page } from "../examples/chromium.ts";
import { describeWith, find } from "../peers.ts";
import { RealServer } from "./server.ts";

const SCRIPT = `
import { FELIX_CONFIGURATION } from "tortie/api";
import { fetchTransport, informer, restClient } from "tortie/client";
globalThis.follow = async (url, token) => {
  const client = restClient(fetchTransport({ ...(url ? { url } : {}), ...(token ? { token: () => token } : {}) }));
  const events = [];
  const felix = informer(client, FELIX_CONFIGURATION, { onEvent: (type, o) => events.push(type + " " + o.metadata.name), healthyMs: 500 });
  await felix.start();
  Object.assign(globalThis, { client, felix, events, FELIX_CONFIGURATION });
  return felix.metrics;
};
globalThis.names = () => felix.list().map((o) => o.metadata.name).sort();
`;
const felix = (name: string): FelixConfiguration => ({
  apiVersion: "projectcalico.org/v3",
  kind: "FelixConfiguration",
  metadata: { name },
  spec: {},
});

/** What a web UI of another origin may stand behind: it knows who holds which token. */
async function gateway(socketPath: string, token: string): Promise<{ server: Server; url: string; refused: () => number }> {
  let refused = 0;
  const server = createServer((asked, answer) => {
    const cors = {
      "access-control-allow-origin": "*",
      "access-control-allow-headers": "authorization, content-type",
      "access-control-allow-methods": "*",
    };
    if (asked.method === "OPTIONS") return void answer.writeHead(204, cors).end();
    if (asked.headers.authorization !== `Bearer ${token}`) {
      refused++;
      return void answer.writeHead(401, cors).end();
    }
    const { authorization: _, ...headers } = asked.headers;
    const onward = request({ socketPath, path: asked.url, method: asked.method, headers }, (got) => {
      answer.writeHead(got.statusCode ?? 502, { ...got.headers, ...cors });
      answer.flushHeaders();
      got.pipe(answer);
      got.on("error", () => answer.destroy());
    });
    onward.on("error", () => (answer.headersSent ? answer.destroy() : answer.writeHead(502, cors).end()));
    answer.on("close", () => onward.destroy());
    asked.pipe(onward);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, refused: () => refused };
}

describeWith(["chromium-headless-shell", "kubectl"], "the client in Chromium", () => {
  let home: RealServer;
  let browser: Chromium;
  let directory: string;
  let proxy: ChildProcess;
  let url: string;
  beforeAll(async () => {
    home = new RealServer();
    await home.start();
    directory = mkdtempSync(join(tmpdir(), "tortie-page-"));
    writeFileSync(join(directory, "page.html"), `<!doctype html><meta charset="utf-8"><script src="client.js"></script>`);
    writeFileSync(join(directory, "client.js"), bundle(SCRIPT));
    const args = ["--kubeconfig", home.kubeconfig, "proxy", "--port=0", `--www=${directory}`, "--www-prefix=/page/"];
    proxy = spawn(find("kubectl")!, args, { stdio: ["ignore", "pipe", "ignore"] });
    url = await new Promise<string>((resolve) => {
      let said = "";
      proxy.stdout!.on("data", (d: Buffer) => {
        said += d.toString();
        const serving = /Starting to serve on (\S+)/.exec(said);
        if (serving) resolve(`http://${serving[1]}`);
      });
    });
    browser = new Chromium();
  });
  afterAll(async () => {
    await browser?.close();
    if (proxy) {
      const ended = once(proxy, "exit");
      proxy.kill();
      await ended;
    }
    await home?.dispose();
    rmSync(directory, { recursive: true, force: true });
  });

  const namesIn = (page: Page): Promise<string[]> => page.evaluate("names()") as Promise<string[]>;
  const shows = (page: Page, names: string[]): Promise<void> =>
    vi.waitFor(async () => expect(await namesIn(page)).toEqual(names), { timeout: 60_000, interval: 50 });

  test("lists, watches, writes, and goes on after the server was killed", async () => {
    const page = await browser.open(`${url}/page/page.html`);
    await page.evaluate("follow()");
    await shows(page, ["default"]);
    await home.client.create(FELIX_CONFIGURATION, felix("node.a"));
    await shows(page, ["default", "node.a"]);
    await page.evaluate(`client.create(FELIX_CONFIGURATION, ${JSON.stringify(felix("node.b"))})`);
    expect((await home.client.get(FELIX_CONFIGURATION, "node.b")).metadata.uid).toBeTruthy();
    const thrown = await page.evaluate(`client.get(FELIX_CONFIGURATION, "nope").catch((e) => e.code + " " + e.message)`);
    expect(thrown).toBe('404 felixconfigurations.projectcalico.org "nope" not found');
    await home.kill();
    await home.start();
    await home.client.delete(FELIX_CONFIGURATION, "node.a");
    await shows(page, ["default", "node.b"]);
    expect(await page.evaluate("events")).toEqual(["ADDED default", "ADDED node.a", "ADDED node.b", "DELETED node.a"]);
    await page.evaluate("felix.stop()");
  });

  test("from another origin, with a bearer token; and not without", async () => {
    const gate = await gateway(home.socket, "s3cret");
    try {
      const page = await browser.open(`${url}/page/page.html`);
      await page.evaluate(`follow(${JSON.stringify(gate.url)}, "s3cret")`);
      await home.client.create(FELIX_CONFIGURATION, felix("node.c"));
      await shows(page, ["default", "node.b", "node.c"]);
      expect(gate.refused()).toBe(0);
      expect(await page.evaluate(`follow(${JSON.stringify(gate.url)}, "wrong"), new Promise((r) => setTimeout(() => r(typeof felix), 300))`)).toBe(
        "object",
      );
      await expect.poll(() => gate.refused()).toBeGreaterThan(0);
      await page.evaluate("felix.stop()");
    } finally {
      gate.server.closeAllConnections();
      gate.server.close();
    }
  });
});
