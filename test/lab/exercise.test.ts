// The reference exercise as a new user runs it, with what is installed here, and without any of the programs that it can do without.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { describeRoot, TORTIE } from "../peers.ts";
import { mark, traces, until } from "./processes.ts";

const REPLACEABLE = ["wg", "tcpdump", "tshark", "kubectl", "calicoctl", "ping"];

/** A directory of links to all programs of the system but those that ours replace. */
function withoutThem(): string {
  const directory = mkdtempSync(join(tmpdir(), "tortie-path-"));
  for (const from of ["/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"])
    for (const name of readdirSync(from))
      if (!REPLACEABLE.includes(name)) {
        try {
          symlinkSync(join(from, name), join(directory, name));
        } catch {
          // Of two programs of one name the first counts, as in a PATH.
        }
      }
  return directory;
}

describeRoot("tortie lab exercise", () => {
  const bare = withoutThem();
  afterAll(() => rmSync(bare, { recursive: true }));

  test.for([
    { name: "with what is installed here", env: {} },
    { name: "without wg, tcpdump, tshark, kubectl and ping", env: { PATH: bare, PEERS: "/nonexistent" } },
  ])("passes $name and leaves nothing", async ({ env }) => {
    const marked = mark(env);
    const ran = spawnSync(process.execPath, [TORTIE, "lab", "exercise"], { env: marked.env, encoding: "utf8", timeout: 400_000 });
    const output = ran.stdout + ran.stderr;
    expect(output).not.toMatch(/^ +FAIL/m);
    expect(output).toMatch(/^PASSED: /m);
    expect(ran.status).toBe(0);
    if ("PATH" in env)
      for (const program of ["wg", "tcpdump", "tshark", "kubectl"]) expect(output).toContain(`the real ${program}: not installed here`);
    await until("its processes end", () => marked.pids().length === 0);
    expect(traces()).toEqual([]);
    expect(readdirSync("/tmp").filter((n) => n.startsWith(`tortie-exercise-${ran.pid}-`))).toEqual([]);
  });
});
