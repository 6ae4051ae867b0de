// Whatever of a lab is killed, nothing of it stays: processes, namespaces, mounts, links, routes, rules, files.
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { afterAll, describe, expect, test } from "vitest";
import { describeRoot, TORTIE } from "../peers.ts";
import { commandOf, type Mark, mark, traces, until } from "./processes.ts";

const STATE = "/run/tortie/lab";
const exit = (child: ChildProcess): Promise<number | string> =>
  new Promise((resolve) => child.once("close", (code, signal) => resolve(code ?? signal!)));
const tortie = (env: NodeJS.ProcessEnv, ...args: string[]): { status: number | null; output: string } => {
  const ran = spawnSync(process.execPath, [TORTIE, ...args], { env, encoding: "utf8", timeout: 250_000 });
  return { status: ran.status, output: ran.stdout + ran.stderr };
};
// May read the clone wherever it is, and nothing else.
const NOBODY = ["setpriv", "--reuid", "65534", "--clear-groups", "--inh-caps", "+dac_read_search", "--ambient-caps", "+dac_read_search"];
const scratchOf = (pid: number): string[] => readdirSync("/tmp").filter((n) => n.startsWith(`tortie-exercise-${pid}-`));

const VICTIMS: readonly { name: string; is: (command: string) => boolean }[] = [
  { name: "the command", is: (c) => c.includes("main.js lab exercise") && !c.includes("unshare") && !c.startsWith("sh ") },
  { name: "the supervisor", is: (c) => c.includes("main.js lab supervise") && c.startsWith(process.execPath) },
  { name: "the lab's init", is: (c) => c.startsWith("sh -ec") && c.includes("lab supervise") },
  { name: "unshare", is: (c) => c.startsWith("unshare --pid") },
  { name: "the process that holds a node", is: (c) => c === "sleep infinity" },
];

async function nothingLeft(marked: Mark): Promise<void> {
  await until(`processes end: ${marked.pids().map(commandOf).join("; ")}`, () => marked.pids().length === 0);
  expect(traces()).toEqual([]);
}

describeRoot("lab: kill -9", () => {
  // Moments from the first fork to the running walk. Random, and printed, so that no moment is left out for ever.
  describe.each(VICTIMS)("of $name during the exercise", ({ name, is }) => {
    test.for([0, 200, 1_000, 6_000].map((ms) => Math.round(ms * (0.5 + Math.random()))))("after %i ms leaves nothing", async (ms) => {
      const marked = mark();
      const child = spawn(process.execPath, [TORTIE, "lab", "exercise"], { env: marked.env, stdio: "ignore" });
      const ended = exit(child);
      await new Promise((r) => setTimeout(r, ms));
      let victims: number[] = [];
      await until(`${name} is there`, () => (victims = marked.pids().filter((p) => is(commandOf(p)))).length > 0 || child.exitCode !== null);
      if (victims.length > 0) process.kill(victims[0]!, "SIGKILL");
      if (name !== "the command") await until("the command ends by itself", () => child.exitCode !== null || child.signalCode !== null, 60_000);
      await ended;
      await nothingLeft(marked);
      if (name !== "the command") expect(scratchOf(child.pid!)).toEqual([]);
    });
  });

  // As a terminal sends it: to the whole foreground group.
  test.for([0, 300, 2_000, 9_000].map((ms) => Math.round(ms * (0.5 + Math.random()))))("Ctrl-C after %i ms leaves nothing", async (ms) => {
    const marked = mark();
    const child = spawn(process.execPath, [TORTIE, "lab", "exercise"], { env: marked.env, stdio: ["ignore", "pipe", "ignore"], detached: true });
    const ended = exit(child);
    let said = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => (said += text));
    // From its first words on it has something to clean up.
    await new Promise((r) => child.stdout.once("data", r));
    await new Promise((r) => setTimeout(r, ms));
    process.kill(-child.pid!, "SIGINT");
    expect(await ended).toBe(130);
    expect(said).toMatch(/\nStopped: the lab is being removed\.\n$/);
    await nothingLeft(marked);
    expect(scratchOf(child.pid!)).toEqual([]);
  });

  test("of the command leaves its captures' directory to the next run, which removes it", async () => {
    const marked = mark();
    const child = spawn(process.execPath, [TORTIE, "lab", "exercise"], { env: marked.env, stdio: "ignore" });
    const ended = exit(child);
    await until("its directory is there", () => scratchOf(child.pid!).length === 1);
    child.kill("SIGKILL");
    await ended;
    await nothingLeft(marked);
    expect(scratchOf(child.pid!)).toHaveLength(1);
    const next = spawn(process.execPath, [TORTIE, "lab", "exercise"], { env: marked.env, stdio: "ignore" });
    const nextEnded = exit(next);
    await until("the next run has removed it", () => scratchOf(child.pid!).length === 0);
    next.kill("SIGINT");
    expect(await nextEnded).toBe(130);
    await nothingLeft(marked);
    expect(scratchOf(next.pid!)).toEqual([]);
  });
});

// One lab a machine: not beside a lab that a person has up.
(existsSync(STATE) ? describe.skip : describeRoot)("lab up and down", () => {
  const marked = mark();
  afterAll(() => void tortie(marked.env, "lab", "down"));

  test("up twice is one lab; down twice is no error; nothing stays", async () => {
    expect(tortie(marked.env, "lab", "up").status).toBe(0);
    const pids = marked.pids();
    const second = tortie(marked.env, "lab", "up");
    expect(second).toMatchObject({ status: 0, output: expect.stringContaining("up already") });
    expect(marked.pids()).toEqual(expect.arrayContaining(pids.filter((p) => commandOf(p) === "sleep infinity")));
    expect(tortie(marked.env, "lab", "shell", "k8s-w1", "--", "sh", "-c", "hostname; exit 7")).toEqual({ status: 7, output: "k8s-w1\n" });
    const typed = spawnSync("script", ["-qec", `${process.execPath} ${TORTIE} lab shell k8s-w2`, "/dev/null"], {
      env: marked.env,
      input: "hostname; exit 5\n",
      encoding: "utf8",
    });
    expect(typed.stdout).toContain("k8s-w2# ");
    expect(typed.status).toBe(5);
    expect(tortie(marked.env, "lab", "exec", "pod3", "--", "hostname")).toEqual({ status: 0, output: "pod3\n" });
    expect(tortie(marked.env, "lab", "down")).toMatchObject({ status: 0, output: "The lab is down.\n" });
    await nothingLeft(marked);
    expect(existsSync(STATE)).toBe(false);
    expect(tortie(marked.env, "lab", "down")).toMatchObject({ status: 0, output: "No lab was up.\n" });
  });

  test("after a kill of its init the next up starts a new one, and down alone removes what was left", async () => {
    for (const next of ["up", "down"]) {
      expect(tortie(marked.env, "lab", "up").status).toBe(0);
      const init = marked.pids().find((p) => commandOf(p).startsWith("sh -ec") && commandOf(p).includes("lab supervise"))!;
      process.kill(init, "SIGKILL");
      await nothingLeft(marked);
      expect(tortie(marked.env, "lab", "shell", "k8s-m", "--", "true").output).toContain("none is running");
      expect(tortie(marked.env, "lab", next).status).toBe(0);
      tortie(marked.env, "lab", "down");
      await nothingLeft(marked);
      expect(existsSync(STATE)).toBe(false);
    }
  });

  test("kill -9 of the command that starts it leaves no half lab", async () => {
    const child = spawn(process.execPath, [TORTIE, "lab", "up"], { env: marked.env, stdio: "ignore" });
    const ended = exit(child);
    await until("the tree is there", () => marked.pids().some((p) => commandOf(p) === "sleep infinity"));
    child.kill("SIGKILL");
    await ended;
    await nothingLeft(marked);
    expect(tortie(marked.env, "lab", "status").status).toBe(3);
    expect(tortie(marked.env, "lab", "up").status).toBe(0);
    expect(tortie(marked.env, "lab", "down").status).toBe(0);
    await nothingLeft(marked);
  });
});

const EXERCISE = [process.execPath, TORTIE, "lab", "exercise"];
const root = process.getuid?.() === 0;

describe("lab without what it needs", () => {
  test.for([
    { what: "root", command: root ? [...NOBODY, ...EXERCISE] : EXERCISE, says: /takes root; run the same command with sudo/, needsRoot: false },
    {
      what: "/dev/net/tun",
      command: ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /dev/net && exec "$@"', "sh", ...EXERCISE],
      says: /no \/dev\/net\/tun; get it with/,
      needsRoot: true,
    },
    {
      what: "the right to make namespaces",
      command: ["setpriv", "--bounding-set", "-sys_admin", "--inh-caps", "-sys_admin", ...EXERCISE],
      says: /lacks CAP_SYS_ADMIN here.*get it by starting the container with/,
      needsRoot: true,
    },
  ])("says in one sentence that $what is missing and how to get it, exit code 1", ({ command, says, needsRoot }, { skip }) => {
    skip(needsRoot && !root, "only root can take it away from itself");
    const [file, ...args] = command;
    const ran = spawnSync(file!, args, { encoding: "utf8" });
    expect({ status: ran.status, stdout: ran.stdout }).toEqual({ status: 1, stdout: "" });
    expect(ran.stderr).toMatch(/^Cannot run the lab: [^\n]*\n$/);
    expect(ran.stderr).toMatch(says);
  });
});
