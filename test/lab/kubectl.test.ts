// The real kubectl at the pods of a lab: exec with and without a terminal, cp, logs.
import { createHash, randomBytes } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { enterMember, environment, nodeOf } from "../../src/lab/enter.ts";
import { type LabHandle, startLab } from "../../src/lab/handle.ts";
import { type Session, startSession } from "../../src/sys/session.ts";
import { KUBECTLS } from "../apiserver/kubectls.ts";
import { describeRoot, TORTIE } from "../peers.ts";
import { until } from "./processes.ts";

type Running = Session & { readonly said: { out: string; err: string } };

describeRoot("kubectl in a lab", () => {
  let handle: LabHandle;
  const directory = mkdtempSync(join(tmpdir(), "tortie-kubectl-"));
  beforeAll(async () => {
    handle = await startLab({ main: TORTIE, outlives: false });
  });
  afterAll(async () => {
    await handle?.stop();
    rmSync(directory, { recursive: true });
  });

  for (const { name, path, minor } of KUBECTLS.filter((k) => k.minor >= 30))
    describe(name, () => {
      const start = (args: readonly string[], options: { tty?: boolean; input?: string } = {}): Running => {
        const { tty = false, input } = options;
        const env = { ...environment(process.env), HOME: directory, TERM: "xterm" };
        const session = startSession({ argv: [...enterMember(handle.lab, nodeOf(handle.lab, "k8s-m")), path, ...args], env, tty });
        const said = { out: "", err: "" };
        session.stdout.on("data", (d: Buffer) => (said.out += d.toString()));
        session.stderr?.on("data", (d: Buffer) => (said.err += d.toString()));
        if (input !== undefined) session.write(Buffer.from(input), () => {});
        if (!tty) session.end();
        return { ...session, said };
      };
      const kubectl = async (args: readonly string[], options: { input?: string } = {}): Promise<{ code: number; out: string; err: string }> => {
        const running = start(args, options);
        const ended = [running.stdout, running.stderr!].map((s) => new Promise((resolve) => s.once("end", resolve)));
        const code = await running.exit;
        await Promise.all(ended);
        return { code, ...running.said };
      };
      const inPod = async (line: string): Promise<string> => {
        const ran = await kubectl(["exec", "pod1", "--", "sh", "-c", line]);
        expect(ran.code, ran.err).toBe(0);
        return ran.out;
      };

      test("exec: both outputs, input, exit codes, and the pod's own network", async () => {
        expect(await kubectl(["exec", "pod1", "--", "sh", "-c", "echo out; echo err >&2; exit 7"])).toEqual({
          code: 7,
          out: "out\n",
          err: "err\ncommand terminated with exit code 7\n",
        });
        expect((await kubectl(["exec", "-i", "pod3", "--", "sh", "-c", "wc -c; hostname"], { input: "x".repeat(3_000_000) })).out).toBe(
          "3000000\npod3\n",
        );
        const address = handle.lab.pods.find((p) => p.name === "pod2")!.address;
        expect((await kubectl(["exec", "pod2", "--", "ip", "-4", "-brief", "address"])).out).toContain(address);
        expect((await kubectl(["exec", "pod1", "--", "/no/such/program"])).code).not.toBe(0);
      });

      test("a terminal: its size, its changes, its exit code", async () => {
        const shell = start(["exec", "-it", "pod1", "--", "sh"], { tty: true });
        const type = (line: string): void => shell.write(Buffer.from(`${line}\r`), () => {});
        const seen = (what: RegExp): Promise<void> => until(`${what} in ${JSON.stringify(shell.said.out)}`, () => what.test(shell.said.out), 20_000);
        shell.resize(101, 33);
        await seen(/[#$] /);
        type("test -t 0 && echo ter''minal");
        await seen(/^terminal\r$/m);
        // The size may be told a moment after the shell began.
        await until("the size", async () => {
          type("stty size");
          await new Promise((resolve) => setTimeout(resolve, 200));
          return /^33 101\r$/m.test(shell.said.out);
        });
        shell.resize(77, 22);
        await until("the other size", async () => {
          type("stty size");
          await new Promise((resolve) => setTimeout(resolve, 200));
          return /^22 77\r$/m.test(shell.said.out);
        });
        type("sleep 100");
        await new Promise((resolve) => setTimeout(resolve, 300));
        shell.write(Buffer.of(3), () => {});
        type("echo inter''rupted; exit 5");
        await seen(/interrupted/);
        expect(await shell.exit).toBe(5);
        shell.close();
      });

      test("cp there and back, files and directories", async () => {
        const [from, back] = [join(directory, `from-${minor}`), join(directory, `back-${minor}`)];
        mkdirSync(join(from, "deep"), { recursive: true });
        const bytes = randomBytes(5_000_000);
        writeFileSync(join(from, "big"), bytes);
        writeFileSync(join(from, "deep/text"), "a word\n", { mode: 0o750 });
        const there = `/run/copied-${minor}`;
        expect(await kubectl(["cp", from, `default/pod1:${there}`])).toMatchObject({ code: 0 });
        expect(await inPod(`sha256sum <${there}/big; stat -c %a ${there}/deep/text`)).toBe(
          `${createHash("sha256").update(bytes).digest("hex")}  -\n750\n`,
        );
        expect(await kubectl(["cp", `pod1:${there}`, back])).toMatchObject({ code: 0 });
        expect(readFileSync(join(back, "big")).equals(bytes)).toBe(true);
        expect(readFileSync(join(back, "deep/text"), "utf8")).toBe("a word\n");
        // Its exit code is kubectl's own affair: some releases say 0.
        await kubectl(["cp", "pod1:/no/such/file", join(directory, "none")]);
        expect(existsSync(join(directory, "none"))).toBe(false);
      });

      test("logs: what the pod's process wrote, its end, its times, and what comes", async () => {
        const logs = async (...args: string[]): Promise<string> => {
          const ran = await kubectl(["logs", "pod1", ...args]);
          expect(ran.code, ran.err).toBe(0);
          return ran.out;
        };
        const address = handle.lab.pods.find((p) => p.name === "pod1")!.address;
        expect(await logs()).toContain(`pod pod1 has ${address}; what is written to /run/stdout is its log\n`);
        await inPod(`for i in 1 2 3; do echo "${minor}: line $i" >/run/stdout; done`);
        const written = `${minor}: line 1\n${minor}: line 2\n${minor}: line 3\n`;
        // The line is in the pipe when the command has ended, and in the log a moment later.
        await until("the lines", async () => (await logs("--tail=3")) === written);
        expect(await logs("--tail=1", "--timestamps")).toMatch(new RegExp(`^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d+Z ${minor}: line 3\\n$`));
        expect(await logs("--since=1h")).toContain(written);
        expect(await logs("--since-time=2099-01-01T00:00:00Z")).toBe("");
        expect(await logs("--limit-bytes=5")).toHaveLength(5);
        const follow = start(["logs", "-f", "--tail=1", "pod1"]);
        await until("the last line", () => follow.said.out === `${minor}: line 3\n`);
        await inPod("echo later >/run/stdout; seq 1 20000 >/run/stdout");
        await until("what comes", () => follow.said.out.endsWith("\n19999\n20000\n"));
        expect(follow.said.out.split("\n").slice(1, 4)).toEqual(["later", "1", "2"]);
        follow.kill();
        await follow.exit;
        const bad = await kubectl(["logs", "pod1", "-c", "other"]);
        expect([bad.code, bad.err]).toEqual([1, expect.stringContaining("other") as string]);
        expect((await kubectl(["logs", "pod1", "--previous"])).err).toContain("previous terminated container");
        expect((await kubectl(["logs", "pod9"])).err).toBe('error: error from server (NotFound): pods "pod9" not found in namespace "default"\n');
      });
    });
});
