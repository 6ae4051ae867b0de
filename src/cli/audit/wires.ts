// Captures on every wire of every node of the lab while something happens: one `tortie capture` in each node's namespaces, into files of ours alone.
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { TortieError } from "../../base/errors.ts";
import type { CaptureFile } from "../../capture/reader.ts";
import { enterMember, environment, type RunningLab } from "../../lab/enter.ts";
import { readFile } from "../captures/file.ts";

export type Wire = { readonly node: string; readonly name: string };
export type WireCapture = Wire & { readonly file: CaptureFile };

const START_MS = 15_000;
const STOP_MS = 10_000;

export const wiresOf = (lab: RunningLab): Wire[] => lab.nodes.flatMap((n) => n.wires.map((name) => ({ node: n.name, name })));

/** Runs `body` while all wires are captured; gives what was captured. Throws TortieError when a capture cannot be started or breaks off. */
export async function captureWires(lab: RunningLab, body: () => Promise<void>): Promise<WireCapture[]> {
  const directory = mkdtempSync(join(tmpdir(), "tortie-audit-"));
  const running: { wire: Wire; child: ChildProcess; path: string; ended: Promise<string> }[] = [];
  try {
    for (const wire of wiresOf(lab)) {
      const path = join(directory, `${wire.node}-${wire.name}.pcapng`);
      running.push({ wire, path, ...launch(lab, wire, path) });
    }
    await Promise.all(running.map((r) => listening(r.child, r.wire)));
    await body();
    for (const r of running) signal(r.child, "SIGINT");
    await Promise.all(running.map((r) => within(r.ended, r.wire)));
    return await Promise.all(running.map(async (r) => ({ ...r.wire, file: await readFile(r.path) })));
  } finally {
    for (const r of running) signal(r.child, "SIGKILL");
    rmSync(directory, { recursive: true, force: true });
  }
}

function launch(lab: RunningLab, wire: Wire, path: string): { child: ChildProcess; ended: Promise<string> } {
  const node = lab.nodes.find((n) => n.name === wire.node)!;
  const [file, ...args] = [
    ...enterMember(lab, node),
    process.execPath,
    ...process.execArgv,
    process.argv[1]!,
    "capture",
    "-i",
    wire.name,
    "-w",
    path,
  ];
  // A group of its own: the signal must reach the program behind nsenter.
  const child = spawn(file, args, { env: environment(process.env), stdio: ["ignore", "ignore", "pipe"], detached: true });
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    said += text;
    child.emit("said", said);
  });
  const ended = new Promise<string>((resolve) => {
    child.once("error", (e) => resolve(e.message));
    // The interrupt ends nsenter at once, and its exit code says nothing; the capture says how it went, and holds the pipe open until it has ended.
    child.once("close", (code) => resolve(/packets captured/.test(said) ? "" : said.trim() || `exit code ${code}`));
  });
  return { child, ended };
}

function listening(child: ChildProcess, wire: Wire): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (why: string): void => reject(new TortieError(`Cannot capture on ${wire.name} of ${wire.node}: ${why}`));
    const timer = setTimeout(() => fail("it did not begin in time"), START_MS);
    child.on("said", (text: string) => {
      if (!/^listening on/m.test(text)) return;
      clearTimeout(timer);
      resolve();
    });
    child.once("exit", (code) => {
      clearTimeout(timer);
      fail(`it ended with ${code}`);
    });
    child.once("error", (e) => {
      clearTimeout(timer);
      fail(e.message);
    });
  });
}

async function within(ended: Promise<string>, wire: Wire): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<string>((resolve) => {
    timer = setTimeout(() => resolve("it did not end in time"), STOP_MS);
  });
  const why = await Promise.race([ended, late]);
  clearTimeout(timer);
  if (why !== "") throw new TortieError(`Cannot capture on ${wire.name} of ${wire.node}: ${why}`);
}

function signal(child: ChildProcess, name: NodeJS.Signals): void {
  try {
    if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, name);
  } catch {
    // All of it has ended.
  }
}
