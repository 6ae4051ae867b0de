import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { realProgram } from "./programs.ts";

describe("realProgram()", () => {
  const directory = mkdtempSync(join(tmpdir(), "tortie-programs-"));
  afterAll(() => rmSync(directory, { recursive: true }));
  const make = (path: string, text = "exit 0"): string => {
    const file = join(directory, path);
    mkdirSync(join(file, ".."), { recursive: true });
    writeFileSync(file, `#!/bin/sh\n${text}\n`);
    chmodSync(file, 0o755);
    return file;
  };
  const kubectl = (path: string, minor: string): string => make(path, `echo '{"clientVersion":{"major":"1","minor":"${minor}"}}'`);
  const env = (peers: string, ...path: string[]): NodeJS.ProcessEnv => ({
    PATH: path.map((p) => join(directory, p)).join(":"),
    PEERS: join(directory, peers),
  });

  test("finds a program of the PATH", async () => {
    const wg = make("a/tortie-test-wg");
    expect(await realProgram("tortie-test-wg", env("none", "empty", "a"))).toBe(wg);
    expect(await realProgram("tortie-test-wg", env("none", "empty"))).toBeUndefined();
  });
  test("does not take a link to our own program for the real one", async () => {
    const main = make("ours/cli/main.js");
    mkdirSync(join(directory, "links"));
    symlinkSync(main, join(directory, "links/tortie-test-dump"));
    expect(await realProgram("tortie-test-dump", env("none", "links"))).toBeUndefined();
  });
  test("prefers the current kubectl, and takes none that cannot run commands in pods", async () => {
    kubectl("old/kubectl", "20+");
    const fair = kubectl("fair/kubectl", "30");
    const current = kubectl("peers/bin/kubectl", "36");
    expect(await realProgram("kubectl", env("peers", "old"))).toBe(current);
    expect(await realProgram("kubectl", env("none", "fair"))).toBe(fair);
    expect(await realProgram("kubectl", env("none", "old", "fair"))).toBeUndefined();
  });
});
