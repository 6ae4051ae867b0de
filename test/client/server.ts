// The real server as a child process, and programs run against it.
import { type ChildProcess, type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connectToSocket } from "../../src/client/node.ts";
import type { RestClient } from "../../src/client/rest.ts";
import { TORTIE } from "../peers.ts";
import { freePorts } from "../ports.ts";

export type Ran = { code: number; out: string; err: string };

export class RealServer {
  readonly directory: string = mkdtempSync(join(tmpdir(), "tortie-server-"));
  readonly socket: string = join(this.directory, "api.sock");
  readonly kubeconfig: string = join(this.directory, "admin.kubeconfig");
  #child: ChildProcess | undefined;
  #port: number | undefined;
  #log = "";
  readonly client: RestClient = connectToSocket(this.socket);

  /** Starts it (again) on the same data and port; resolves when it answers. */
  async start(options: { wait?: boolean } = {}): Promise<void> {
    [this.#port] = this.#port === undefined ? await freePorts(1) : [this.#port];
    const args = ["server", "--data", join(this.directory, "data"), "--listen", `127.0.0.1:${this.#port}`];
    const child = spawn(process.execPath, [TORTIE, ...args, "--kubeconfig", this.kubeconfig, "--socket", this.socket], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (d: Buffer) => (this.#log = (this.#log + d.toString()).slice(-8000)));
    this.#child = child;
    if (options.wait === false) return;
    const deadline = performance.now() + 60_000;
    for (;;) {
      if (child.exitCode !== null) throw new Error(`the server ended with ${child.exitCode}: ${this.#log}`);
      try {
        return void (await this.client.raw("GET", "/version"));
      } catch (thrown) {
        if (performance.now() > deadline) throw new Error(`the server does not answer: ${this.#log}`, { cause: thrown });
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
  }
  async kill(): Promise<void> {
    const child = this.#child!;
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await ended;
  }
  async dispose(): Promise<void> {
    await this.client.close();
    if (this.#child) await this.kill();
    rmSync(this.directory, { recursive: true, force: true });
  }

  /** Runs our program under another name (calicoctl, kubectl) to its end. */
  async run(name: string, args: readonly string[], options: { stdin?: string; env?: NodeJS.ProcessEnv } = {}): Promise<Ran> {
    const child = this.#spawn(name, args, options.env);
    let [out, err] = ["", ""];
    child.stdout.on("data", (d: Buffer) => (out += d.toString()));
    child.stderr.on("data", (d: Buffer) => (err += d.toString()));
    child.stdin.on("error", () => {});
    child.stdin.end(options.stdin ?? "");
    const code = await new Promise<number>((resolve) => child.once("close", (c) => resolve(c ?? -1)));
    return { code, out, err };
  }
  /** Starts our program under another name; `end` kills it. */
  follow(name: string, args: readonly string[]): { out: () => string; end: () => Promise<void> } {
    const child = this.#spawn(name, args);
    let out = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (d: Buffer) => (out += d.toString()));
    const closed = new Promise<void>((resolve) => child.once("close", () => resolve()));
    const end = (): Promise<void> => {
      child.kill();
      return closed;
    };
    return { out: () => out, end };
  }
  #spawn(name: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): ChildProcessWithoutNullStreams {
    const link = join(this.directory, name);
    try {
      symlinkSync(TORTIE, link);
    } catch {
      // made before
    }
    return spawn(process.execPath, [link, ...args], { env: { PATH: process.env.PATH, HOME: this.directory, TORTIE_SOCKET: this.socket, ...env } });
  }
}
