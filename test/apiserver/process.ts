// A real server process for tests: its own directory, a free port.
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { TORTIE } from "../peers.ts";
import { freePorts } from "../ports.ts";

export type ServerProcess = { readonly child: ChildProcess; readonly url: string; readonly ended: Promise<number | string> };

export class ServerHome {
  readonly directory: string = mkdtempSync(join(tmpdir(), "tortie-server-"));
  readonly data: string = join(this.directory, "data");
  readonly socket: string = join(this.data, "server.sock");
  readonly kubeconfig: string = join(this.directory, "admin.kubeconfig");
  readonly #children = new Set<ChildProcess>();
  #logged = "";

  /** What the servers logged. */
  get log(): string {
    return this.#logged;
  }
  /** Resolves when the ready line is there. `port` 0: a free one, which stays free for a server that is started again; `more`: further arguments; `env`: beside this process's own. */
  async start(port = 0, more: readonly string[] = [], env: NodeJS.ProcessEnv = {}): Promise<ServerProcess> {
    const [free] = port === 0 ? await freePorts(1) : [port];
    const args = ["server", "--data", this.data, "--listen", `127.0.0.1:${free}`, "--kubeconfig", this.kubeconfig, ...more];
    const child = spawn(process.execPath, [TORTIE, ...args], { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, ...env } });
    this.#children.add(child);
    let said = "";
    child.stderr.on("data", (d: Buffer) => (this.#logged += d.toString()));
    const ended = new Promise<number | string>((resolve) => child.once("close", (code, signal) => resolve(code ?? signal ?? "")));
    const url = await new Promise<string>((resolve, reject) => {
      child.stdout.on("data", (d: Buffer) => {
        said += d.toString();
        const ready = /ready: (https:\S+)/.exec(said);
        if (ready) resolve(ready[1]!);
      });
      child.once("close", () => reject(new Error(`the server ended: ${said}${this.#logged.slice(-4000)}`)));
    });
    return { child, url, ended };
  }

  read(file: string): string {
    return readFileSync(join(this.directory, file), "utf8");
  }

  /** Ends what still runs and removes the directory. */
  async remove(): Promise<void> {
    for (const child of this.#children)
      if (child.exitCode === null && child.signalCode === null) {
        child.kill("SIGKILL");
        await new Promise((resolve) => child.once("close", resolve));
      }
    rmSync(this.directory, { recursive: true, force: true });
  }
}

export type Answered = { readonly code: number; readonly body: string };
type Asked = { method?: string; body?: string | Buffer; type?: string };

/** A request over the unix socket. */
export function ask(socketPath: string, path: string, { method = "GET", body, type = "application/json" }: Asked = {}): Promise<Answered> {
  return new Promise((resolve, reject) => {
    const r = request({ socketPath, path, method, headers: { "content-type": type } }, (response) => {
      let text = "";
      response.on("data", (d: Buffer) => (text += d.toString()));
      response.on("end", () => resolve({ code: response.statusCode ?? 0, body: text }));
      response.on("error", reject);
    });
    r.on("error", reject);
    r.end(body);
  });
}

/** A watch over the unix socket: the events so far, and when it ended. */
export function follow(
  socketPath: string,
  path: string,
): { events: { type: string; object: { metadata: { name: string; resourceVersion: string } } }[]; ended: Promise<void> } {
  const events: { type: string; object: { metadata: { name: string; resourceVersion: string } } }[] = [];
  const ended = new Promise<void>((resolve) => {
    const r = request({ socketPath, path }, (response) => {
      let rest = "";
      response.on("data", (d: Buffer) => {
        const lines = (rest + d.toString()).split("\n");
        rest = lines.pop()!;
        events.push(...lines.filter(Boolean).map((l) => JSON.parse(l) as (typeof events)[number]));
      });
      response.on("close", resolve);
    });
    r.on("error", () => resolve());
    r.end();
  });
  return { events, ended };
}

/** Waits until `done` holds; the limit is for what hangs. */
export async function until(done: () => boolean | Promise<boolean>, ms = 60_000): Promise<void> {
  for (const end = Date.now() + ms; !(await done());) {
    if (Date.now() > end) throw new Error(`it did not happen within ${ms / 1000} s: ${done.toString()}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
