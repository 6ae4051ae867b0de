// The programs of the exercise by their own names: the real one where it is installed, ours where it is not.
import { existsSync, mkdirSync, realpathSync, symlinkSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { run } from "../sys/exec.ts";
import { PROGRAMS } from "./enter.ts";

/** The names that people type and that we can act as. */
const NAMES = ["wg", "calicoctl", "kubectl", "tcpdump", "tshark", "ping"] as const;

/** Path of an installed program that is not ours, or undefined. A current kubectl beside the system's old one is preferred (scripts/peers). */
export async function realProgram(name: string, env: NodeJS.ProcessEnv = process.env): Promise<string | undefined> {
  const current = join(env.PEERS ?? join(env.HOME ?? "/root", ".cache/tortie-peers"), "bin");
  const path = [...(name === "kubectl" ? [current] : []), ...(env.PATH ?? "").split(delimiter), "/usr/sbin", "/sbin"];
  const found = path
    .filter((d) => d !== "" && d !== PROGRAMS.bin && d !== PROGRAMS.own)
    .map((d) => join(d, name))
    .find((p) => existsSync(p) && !isOurs(p));
  return found !== undefined && name === "kubectl" && !(await speaksWebSocket(found)) ? undefined : found;
}

// A link to the built program, made by whoever wants our wg to be the machine's.
const isOurs = (path: string): boolean => realpathSync(path).endsWith("/cli/main.js");

/** kubectl before 1.30 runs commands in pods over SPDY only, which no new server has to speak. */
async function speaksWebSocket(kubectl: string): Promise<boolean> {
  try {
    const { stdout } = await run(kubectl, ["version", "--client", "--output=json"]);
    const { clientVersion } = JSON.parse(stdout) as { clientVersion: { major: string; minor: string } };
    return parseInt(clientVersion.major, 10) > 1 || parseInt(clientVersion.minor, 10) >= 30;
  } catch {
    return false;
  }
}

/** Fills PROGRAMS.bin and PROGRAMS.own. `main`: the built program. */
export async function installPrograms(main: string, env: NodeJS.ProcessEnv): Promise<void> {
  for (const directory of Object.values(PROGRAMS)) mkdirSync(directory, { recursive: true });
  for (const name of [...NAMES, "tortie"]) {
    // Node passes on the name of the link, not what it points to: that is how the program knows what it was called.
    const link = join(PROGRAMS.own, `.${name}`, name);
    mkdirSync(join(link, ".."), { recursive: true });
    symlinkSync(main, link);
    const real = name === "tortie" ? undefined : await realProgram(name, env);
    for (const directory of real === undefined ? Object.values(PROGRAMS) : [PROGRAMS.own])
      writeFileSync(join(directory, name), `#!/bin/sh\nexec '${process.execPath}' '${link}' "$@"\n`, { mode: 0o755 });
    if (name === "kubectl" && real !== undefined) symlinkSync(real, join(PROGRAMS.bin, name));
  }
}
