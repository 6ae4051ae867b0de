// The real kubectl at the pods of a lab: exec with and without a terminal, cp, logs, delete.
import { createHash, randomBytes } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { podHandle } from "../../src/agent/ipam/index.ts";
import { podPidFile } from "../../src/agent/paths.ts";
import { enterMember, environment, labOf, type LabPod, nodeOf, podOf } from "../../src/lab/enter.ts";
import { type LabHandle, startLab } from "../../src/lab/handle.ts";
import { run } from "../../src/sys/exec.ts";
import { enter, processes } from "../../src/sys/ns.ts";
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

  const programs = KUBECTLS.filter((k) => k.minor >= 30);
  for (const { name, path, minor } of programs)
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
        const seen = (what: RegExp): Promise<void> => until(`${what} in ${JSON.stringify(shell.said.out)}`, () => what.test(shell.said.out));
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

      if (name !== programs.at(-1)!.name) return;
      // The last: there are no pods any more.
      describe("delete", () => {
        const proc = (): string => `${handle.lab.root}/proc`;
        const podNamed = (pod: string): LabPod & { readonly net: string } => {
          const found = podOf(handle.lab, pod);
          return { ...found, net: readlinkSync(`${proc()}/${found.pid}/ns/net`) };
        };
        const running = ({ net }: { readonly net: string }): number => processes(proc()).filter((p) => p.net === net).length;
        /** Nothing is left of it, in the API or on its node. */
        const isGone = async (pod: LabPod & { readonly net: string }): Promise<void> => {
          const node = nodeOf(handle.lab, pod.node);
          await until("its end", async () => {
            const links = await run(...argv([...enterMember(handle.lab, node), "ip", "-brief", "link"]));
            const known = labOf(handle.init.pid)!.pods.some((p) => p.name === pod.name);
            return running(pod) === 0 && !links.stdout.includes(pod.hostInterface) && !known;
          });
          expect((await kubectl(["get", "pod", pod.name])).err).toBe(`Error from server (NotFound): pods "${pod.name}" not found\n`);
          expect((await kubectl(["get", "ipamhandles", "-o", "name"])).out).not.toContain(podHandle({ namespace: pod.namespace, pod: pod.name }));
          expect(existsSync(`${proc()}/${node.pid}/root${podPidFile(pod.namespace, pod.name)}`)).toBe(false);
        };
        const argv = ([file, ...args]: string[]): [string, string[]] => [file!, args];

        test("the pod ends on its node before kubectl has waited for it, and with it what runs in it; its address is free", async () => {
          const pod = podNamed("pod3");
          const shell = start(["exec", "pod3", "--", "sleep", "600"]);
          await until("the command", () => running(pod) === 2);
          const { code, out } = await kubectl(["delete", "pod", "pod3"]);
          expect([code, out]).toEqual([0, expect.stringMatching(/^pod "pod3" deleted/)]);
          expect(running(pod)).toBe(0);
          expect(await shell.exit).not.toBe(0);
          await isGone(pod);
          expect((await kubectl(["exec", "pod1", "--", "hostname"])).out).toBe("pod1\n");
        });
        test("one that does not end in its time is killed then", async () => {
          const pod = podNamed("pod2");
          // What is stopped hears nothing but a kill.
          await run(...argv([...enter(handle.lab.init, ["pid", "mount"]), "kill", "-STOP", String(pod.pid)]));
          const from = performance.now();
          expect((await kubectl(["delete", "pod", "pod2", "--grace-period=3"])).code).toBe(0);
          // Times are of whole seconds.
          expect(performance.now() - from).toBeGreaterThan(2000);
          await isGone(pod);
        });
        test("--force: it is gone from the API at once, and ends", async () => {
          const pod = podNamed("pod1");
          await run(...argv([...enter(handle.lab.init, ["pid", "mount"]), "kill", "-STOP", String(pod.pid)]));
          expect((await kubectl(["delete", "pod", "pod1", "--force"])).code).toBe(0);
          await isGone(pod);
        });
      });
    });
});
