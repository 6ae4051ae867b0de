// A headless Chromium that is driven over a pipe (DevTools protocol), and pages for it on loopback.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";
import { fileURLToPath } from "node:url";
import { buildSync } from "esbuild";
import { find } from "../peers.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** One script for a browser, of `contents` as if they stood in the package's directory. Throws where something of Node's is imported. */
export const bundle = (contents: string, options: { minify?: boolean } = {}): string =>
  buildSync({
    stdin: { contents, resolveDir: ROOT, loader: "ts" },
    bundle: true,
    write: false,
    platform: "browser",
    format: "iife",
    logLevel: "silent",
    tsconfigRaw: "{}",
    minify: options.minify ?? false,
  }).outputFiles[0]!.text;

type Event = { readonly method: string; readonly params: Record<string, unknown>; readonly sessionId?: string };
type Answer = { readonly id: number; readonly result: Record<string, unknown>; readonly error?: { readonly message: string } };

/** What a page loads: path, content; and its Content-Security-Policy. Answers to anything else are 404; `requests` has every path that was asked for. */
export class Site {
  readonly requests: string[] = [];
  readonly #server: Server;
  private constructor(files: Readonly<Record<string, string>>, policy: string) {
    this.#server = createServer((request, response) => {
      const path = request.url!;
      this.requests.push(`${request.method} ${path}`);
      const type = path.endsWith(".js") ? "text/javascript" : "text/html; charset=utf-8";
      const content = files[path];
      response.writeHead(content === undefined ? 404 : 200, { "content-type": type, "content-security-policy": policy }).end(content);
    });
  }
  static async serve(files: Readonly<Record<string, string>>, policy = ""): Promise<Site> {
    const site = new Site(files, policy);
    site.#server.listen(0, "127.0.0.1");
    await once(site.#server, "listening");
    return site;
  }
  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/`;
  }
  async close(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, "close");
  }
}

export class Chromium {
  readonly events: Event[] = [];
  /** Where downloads and the profile go. */
  readonly directory: string = mkdtempSync(join(tmpdir(), "tortie-test-"));
  readonly #process: ChildProcess;
  readonly #to: Writable;
  readonly #from: Readable;
  readonly #waiting = new Map<number, { resolve: (a: Answer["result"]) => void; reject: (e: Error) => void }>();
  #next = 1;

  /** `within`: program and arguments that start it elsewhere, such as in a network namespace. */
  constructor({ within = [], flags = [] }: { within?: readonly string[]; flags?: readonly string[] } = {}) {
    const own = ["--no-sandbox", "--disable-gpu", "--remote-debugging-pipe", `--user-data-dir=${this.directory}/profile`];
    const [program, ...args] = [...within, find("chromium-headless-shell")!, ...own, ...flags];
    this.#process = spawn(program!, args, { stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"] });
    const [, , , to, from] = this.#process.stdio as unknown as [null, null, null, Writable, Readable];
    this.#to = to;
    this.#from = from;
    let rest = "";
    from.setEncoding("utf8").on("data", (text: string) => {
      const all = (rest + text).split("\0");
      rest = all.pop()!;
      for (const one of all) this.#take(JSON.parse(one) as Answer | Event);
    });
    to.on("error", () => {});
    this.#process.once("exit", () => {
      for (const w of this.#waiting.values()) w.reject(new Error("Chromium has ended"));
    });
  }
  #take(message: Answer | Event): void {
    if (!("id" in message)) return void this.events.push(message);
    const waiting = this.#waiting.get(message.id);
    this.#waiting.delete(message.id);
    if (message.error) waiting?.reject(new Error(message.error.message));
    else waiting?.resolve(message.result);
  }
  call(method: string, params: Record<string, unknown> = {}, sessionId?: string): Promise<Record<string, unknown>> {
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#to.write(`${JSON.stringify({ id, method, params, ...(sessionId === undefined ? {} : { sessionId }) })}\0`);
    });
  }
  /** Waits for an event, from the `from`th on; what it says. */
  async until(from: number, is: (e: Event) => boolean): Promise<Record<string, unknown>> {
    for (;;) {
      const found = this.events.slice(from).find(is);
      if (found) return found.params;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
  async open(url: string): Promise<Page> {
    const { targetId } = await this.call("Target.createTarget", { url: "about:blank" });
    const { sessionId } = await this.call("Target.attachToTarget", { targetId, flatten: true });
    const page = new Page(this, sessionId as string);
    await page.call("Page.enable");
    await page.call("Network.enable");
    await page.call("Page.navigate", { url });
    await page.until("document.readyState === 'complete' && location.href !== 'about:blank'");
    return page;
  }
  async close(): Promise<void> {
    if (this.#process.exitCode === null) {
      const exit = once(this.#process, "exit");
      await Promise.race([this.call("Browser.close").catch(() => {}), exit]);
      await exit;
    }
    this.#to.destroy();
    this.#from.destroy();
    // Its children end a moment after it.
    rmSync(this.directory, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  }
}

export class Page {
  readonly #browser: Chromium;
  readonly #session: string;
  constructor(browser: Chromium, session: string) {
    this.#browser = browser;
    this.#session = session;
  }
  call(method: string, params: Record<string, unknown> = {}): Promise<Record<string, unknown>> {
    return this.#browser.call(method, params, this.#session);
  }
  /** The value of an expression; a promise is waited for. Throws what it throws. */
  async evaluate(expression: string): Promise<unknown> {
    const { result, exceptionDetails } = (await this.call("Runtime.evaluate", {
      expression,
      awaitPromise: true,
      returnByValue: true,
      userGesture: true,
    })) as {
      result: { value?: unknown };
      exceptionDetails?: { text: string; exception?: { description?: string } };
    };
    if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
    return result.value;
  }
  /** Waits, as long as it takes, until an expression is true. */
  async until(expression: string): Promise<void> {
    while (!(await this.evaluate(`Boolean(${expression})`))) await new Promise((resolve) => setTimeout(resolve, 50));
  }
  /** Chooses a file of this machine as a person would. */
  async choose(selector: string, path: string): Promise<void> {
    const { root } = (await this.call("DOM.getDocument")) as { root: { nodeId: number } };
    const { nodeId } = await this.call("DOM.querySelector", { nodeId: root.nodeId, selector });
    await this.call("DOM.setFileInputFiles", { nodeId, files: [path] });
  }
}
