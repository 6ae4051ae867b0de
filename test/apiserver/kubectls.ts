// The real kubectls of this machine, and running one.
import { execFileSync, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { find } from "../peers.ts";

export type Kubectl = { readonly name: string; readonly path: string; /** 36 for 1.36. */ readonly minor: number };

function minorOf(path: string): number {
  const { clientVersion } = JSON.parse(execFileSync(path, ["version", "--client", "-o", "json"], { encoding: "utf8" })) as {
    clientVersion: { minor: string };
  };
  return parseInt(clientVersion.minor, 10);
}

const current = find("kubectl");
/** The current release and 1.32 where scripts/peers put them, and the system's. */
export const KUBECTLS: readonly Kubectl[] = [
  ...new Set([current, current && join(dirname(current), "kubectl-1.32"), find("kubectl", { debian: true })]),
]
  .filter((p): p is string => p !== undefined && existsSync(p))
  .map((path) => ({ path, minor: minorOf(path) }))
  .filter((p, i, all) => all.findIndex((q) => q.minor === p.minor) === i)
  .map((p) => ({ ...p, name: `kubectl 1.${p.minor}` }));

export type Ran = { readonly code: number; readonly out: string; readonly err: string };
export type RunOptions = {
  readonly kubeconfig: string;
  /** HOME: the caches are there. */
  readonly home: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly input?: string;
  /** Ends it as timeout(1) does, with its exit code, when this resolves, which is given what it has printed so far. */
  readonly until?: (out: () => string) => Promise<unknown>;
};

/** Runs a kubectl to its end. */
export async function runKubectl({ path }: Kubectl, args: readonly string[], options: RunOptions): Promise<Ran> {
  const env = { ...process.env, KUBECONFIG: options.kubeconfig, KUBECACHEDIR: join(options.home, "cache"), HOME: options.home, ...options.env };
  const child = spawn(path, args, { env, cwd: options.home, stdio: ["pipe", "pipe", "pipe"] });
  let [out, err, over] = ["", "", false];
  child.stdout.on("data", (d: Buffer) => (out += d.toString()));
  child.stderr.on("data", (d: Buffer) => (err += d.toString()));
  child.stdin.on("error", () => {});
  child.stdin.end(options.input ?? "");
  const timer = setTimeout(() => child.kill("SIGKILL"), 200_000);
  const ended = new Promise<number>((resolve) => child.once("close", (code) => resolve(over ? 124 : (code ?? 137))));
  void options
    .until?.(() => out)
    .then(() => {
      over = true;
      child.kill();
    });
  const code = await ended;
  clearTimeout(timer);
  return { code, out, err };
}
