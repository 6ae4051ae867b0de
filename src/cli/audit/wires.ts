// Captures on the wires of machines while something happens: one `tortie capture` in each, into files of ours alone. Each ends when its standard input
// does, so that none outlives this process, however it ends.
import { join } from "node:path";
import { TortieError } from "../../base/errors.ts";
import { startPiped } from "../../sys/child.ts";
import { commandIn, type Place, tortie } from "./place.ts";

/** What is captured: links of a place, with a filter for what is not judged but only looked at. */
export type Tapping = { readonly place: Place; readonly links: readonly string[]; readonly filter?: string };
/** `broken`: the capture ended before it was told to, so that it lacks what came after. */
export type Capture = Tapping & { readonly path: string; readonly broken?: string };

type Running = { readonly tapping: Tapping; readonly path: string; readonly child: ReturnType<typeof startPiped>; readonly ended: Promise<string> };

const START_MS = 60_000;
const STOP_MS = 30_000;

/** Runs `body` while the links are captured into `directory`. Throws TortieError when a capture cannot be started. */
export async function captureWires(directory: string, tappings: readonly Tapping[], body: () => Promise<void>): Promise<Capture[]> {
  const running: Running[] = [];
  try {
    for (const t of tappings) running.push(launch(t, join(directory, `${t.filter === undefined ? "wire" : "control"}-${t.place.node}.pcapng`)));
    await Promise.all(running.map(listening));
    await body();
    for (const r of running) r.child.stdin.end();
    const broken = await Promise.all(running.map(within));
    return running.map((r, i) => ({ ...r.tapping, path: r.path, ...(broken[i] === "" ? {} : { broken: broken[i]! }) }));
  } finally {
    for (const r of running) kill(r);
  }
}

function launch(tapping: Tapping, path: string): Running {
  const { place, links, filter } = tapping;
  const words = ["capture", ...links.flatMap((l) => ["-i", l]), "-w", path, "--until-input-ends", ...(filter === undefined ? [] : ["-f", filter])];
  const child = startPiped(commandIn(place, ...tortie(), ...words), { env: place.env });
  child.stdin.on("error", () => {}); // it need not be there any more when it is told to end
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    said += text;
    child.emit("said", said);
  });
  const ended = new Promise<string>((resolve) => {
    child.once("error", (e) => resolve(e.message));
    // The capture itself says how it went, and holds the pipe open until it has ended.
    child.once("close", () =>
      resolve(/packets captured/.test(said) && !/The others go on without/.test(said) ? "" : complaint(said) || "it was killed"),
    );
  });
  return { tapping, path, child, ended };
}

const complaint = (said: string): string =>
  said
    .replace(/^listening on.*$/m, "")
    .trim()
    .split("\n")[0] ?? "";

function listening({ child, tapping, ended }: Running): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (why: string): void => reject(new TortieError(`Cannot capture on ${tapping.links.join(", ")} of ${tapping.place.node}: ${why}`));
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

// The group, which nsenter and the program behind it are in; its number is theirs while the pipe is open.
function kill({ child }: Running): void {
  try {
    if (child.pid !== undefined && !child.stderr.closed) process.kill(-child.pid, "SIGKILL");
  } catch {
    // All of it has ended.
  }
}
