// Finding what a lab has left on the machine. Everything that a lab starts inherits one environment variable with a value of this run's own.
import { execFileSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";

export type Mark = { readonly env: NodeJS.ProcessEnv; readonly pids: () => number[] };

/** An environment whose processes can be found again, whatever becomes of their parents. */
export function mark(extra: NodeJS.ProcessEnv = {}): Mark {
  const value = `TORTIE_TEST_MARK=${randomUUID()}`;
  const [name, id] = value.split("=") as [string, string];
  return {
    env: { ...process.env, ...extra, [name]: id },
    pids: () =>
      readdirSync("/proc")
        .filter((p) => /^[0-9]+$/.test(p))
        .filter((p) => {
          try {
            return readFileSync(`/proc/${p}/environ`, "latin1").includes(value);
          } catch {
            return false;
          }
        })
        .map(Number),
  };
}

export const commandOf = (pid: number): string => {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ").trim();
  } catch {
    return "";
  }
};

/** What of a lab is visible on the machine outside of its namespaces: must be empty. */
export function traces(): string[] {
  const lines = (file: string, ...args: string[]): string[] => execFileSync(file, args, { encoding: "utf8" }).split("\n");
  return [
    ...lines("ip", "-brief", "link").filter((l) => /^(to-k8s|br-[ab]\b|cali|wireguard\.cali|vxlan\.calico)/.test(l)),
    ...lines("ip", "route", "show", "table", "all").filter((l) => /192\.168\.(10|20)\.|172\.16\.|169\.254\.1\.1/.test(l)),
    ...lines("ip", "rule").filter((l) => l.startsWith("99:")),
    ...readFileSync("/proc/self/mounts", "utf8")
      .split("\n")
      .filter((l) => l.startsWith("tortie ")),
    ...(existsSync("/run/netns") ? readdirSync("/run/netns").filter((n) => n.startsWith("k8s-")) : []),
  ];
}

/** Waits until a condition holds. */
export async function until(what: string, condition: () => boolean | Promise<boolean>, timeoutMs = 60_000): Promise<void> {
  for (const end = Date.now() + timeoutMs; !(await condition()); await new Promise((r) => setTimeout(r, 20)))
    if (Date.now() > end) throw new Error(`not within ${timeoutMs} ms: ${what}`);
}
