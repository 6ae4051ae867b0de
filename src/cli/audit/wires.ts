// Captures on every wire of every node of the lab while something happens: one `tortie capture` in each node's namespaces, into files of ours alone. Each
// ends when its standard input does, so that none outlives this process, however it ends.
import { rmSync } from "node:fs";
import { join } from "node:path";
import { TortieError } from "../../base/errors.ts";
import { type CaptureFile, collect } from "../../capture/reader.ts";
import { enterMember, environment, type LabNode, type RunningLab } from "../../lab/enter.ts";
import { makeScratch } from "../../lab/scratch.ts";
import { startPiped } from "../../sys/child.ts";
import { run } from "../../sys/exec.ts";
import { readFile } from "../captures/file.ts";

export type Wire = { readonly node: string; readonly name: string };
/** `broken`: the capture ended before it was told to, so that it lacks what came after. */
export type WireCapture = Wire & { readonly file: CaptureFile; readonly broken?: string };

type Link = { readonly ifname: string; readonly flags: readonly string[]; readonly linkinfo?: { readonly info_kind?: string } };
type Running = { readonly wire: Wire; readonly path: string; readonly child: ReturnType<typeof startPiped>; readonly ended: Promise<string> };

const START_MS = 15_000;
const STOP_MS = 10_000;
/** Links whose packets leave the node by another link, where they are seen as they leave. */
const WRAPPING: readonly string[] = ["tun", "wireguard", "vxlan", "geneve", "ipip", "sit", "gre", "dummy"];

/** Every link by which a packet can leave a node (P1), asked of the nodes themselves; not the pods' own, which are on the node. */
export async function wiresOf(lab: RunningLab): Promise<Wire[]> {
  const pods = new Set(lab.pods.map((p) => `${p.node} ${p.hostInterface}`));
  const all = lab.nodes.map(async (node) =>
    (await linksOf(lab, node))
      .filter((l) => !l.flags.includes("LOOPBACK") && !WRAPPING.includes(l.linkinfo?.info_kind ?? "") && !pods.has(`${node.name} ${l.ifname}`))
      .map((l) => ({ node: node.name, name: l.ifname })),
  );
  return (await Promise.all(all)).flat();
}

async function linksOf(lab: RunningLab, node: LabNode): Promise<Link[]> {
  const [file, ...args] = [...enterMember(lab, node), "ip", "-json", "-details", "link", "show"];
  return JSON.parse((await run(file, args, { env: environment(process.env) })).stdout) as Link[];
}

/** Runs `body` while the wires are captured; gives what was captured. Throws TortieError when a capture cannot be started. */
export async function captureWires(lab: RunningLab, wires: readonly Wire[], body: () => Promise<void>): Promise<WireCapture[]> {
  const directory = makeScratch("audit");
  const running: Running[] = [];
  try {
    for (const wire of wires) running.push(launch(lab, wire, join(directory, `${running.length}.pcapng`)));
    await Promise.all(running.map(listening));
    await body();
    for (const r of running) r.child.stdin.end();
    const broken = await Promise.all(running.map(within));
    return await Promise.all(running.map(async (r, i) => ({ ...r.wire, ...(await readBack(r.path, broken[i]!)) })));
  } finally {
    for (const r of running) kill(r);
    rmSync(directory, { recursive: true, force: true });
  }
}

function launch(lab: RunningLab, wire: Wire, path: string): Running {
  const node = lab.nodes.find((n) => n.name === wire.node)!;
  const tortie = [process.execPath, ...process.execArgv, process.argv[1]!];
  const [file, ...args] = [...enterMember(lab, node), ...tortie, "capture", "-i", wire.name, "-w", path, "--until-input-ends"];
  const child = startPiped([file, ...args], { env: environment(process.env) });
  child.stdin.on("error", () => {}); // it need not be there any more when it is told to end
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    said += text;
    child.emit("said", said);
  });
  const ended = new Promise<string>((resolve) => {
    child.once("error", (e) => resolve(e.message));
    // The capture itself says how it went, and holds the pipe open until it has ended.
    child.once("close", () => resolve(/packets captured/.test(said) ? "" : complaint(said) || "it was killed"));
  });
  return { wire, path, child, ended };
}

const complaint = (said: string): string => said.replace(/^listening on.*$/m, "").trim();

function listening({ child, wire, ended }: Running): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (why: string): void => reject(new TortieError(`Cannot capture on ${wire.name} of ${wire.node}: ${why}`));
    const timer = setTimeout(() => fail("it did not begin in time"), START_MS);
    child.on("said", (text: string) => {
      if (!/^listening on/m.test(text)) return;
      clearTimeout(timer);
      resolve();
    });
    void ended.then((why) => {
      clearTimeout(timer);
      fail(why || "it ended at once");
    });
  });
}

/** How it ended; "" when it did as it was told. */
async function within({ ended }: Running): Promise<string> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<string>((resolve) => {
    timer = setTimeout(() => resolve("it did not end in time"), STOP_MS);
  });
  const why = await Promise.race([ended, late]);
  clearTimeout(timer);
  return why;
}

/** What a broken capture holds counts all the same: a leak in it is a leak. */
async function readBack(path: string, why: string): Promise<{ file: CaptureFile; broken?: string }> {
  if (why === "") return { file: await readFile(path) };
  const file = await readFile(path).catch(() => collect([]));
  return { file, broken: why };
}

// The group, which nsenter and the program behind it are in; its number is theirs while the pipe is open.
function kill({ child }: Running): void {
  try {
    if (child.pid !== undefined && !child.stderr.closed) process.kill(-child.pid, "SIGKILL");
  } catch {
    // All of it has ended.
  }
}
