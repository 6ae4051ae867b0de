// Garbage collections of a device's data worker under load: there must be none, since it allocates nothing per packet.
import { TORTIE } from "../peers.ts";
import { eventually, type Spawned } from "./host.ts";
import { answers, type End, inner, tunnel, uapi } from "./tunnel.ts";

/** Loads that iperf3 makes, in both directions, and as fast as it can. */
const LOADS = [[], ["-R"], ["-u", "-b", "0", "-l", "64"], ["-u", "-b", "0", "-l", "1380", "-R"]] as const;

/** Isolate, and the line, of each collection that V8's --trace-gc told of. */
const collections = (device: Spawned): { isolate: string; line: string }[] =>
  [...device.output().matchAll(/^\[[0-9]+:(0x[0-9a-f]+)\].*(?:Scavenge|Mark-Compact|Mark-sweep).*$/gm)].map((m) => ({ isolate: m[1]!, line: m[0] }));

/** The isolate of the control thread: the one that collects when the control socket is kept busy and no packet flows. */
async function controlIsolate(end: End): Promise<string> {
  const before = collections(end.device).length;
  for (;;) {
    for (let i = 0; i < 50; i++) await uapi(end, "get=1\n\n");
    const found = collections(end.device)[before];
    if (found) return found.isolate;
  }
}

async function load(from: End, to: End, seconds: number, words: readonly string[]): Promise<void> {
  const server = to.host.spawn(["iperf3", "-s", "-1"]);
  await eventually(() => {
    if (!to.host.run("ss", "-Hltn").includes(":5201")) throw new Error("iperf3 does not listen");
  });
  const client = from.host.spawn(["iperf3", "-c", inner(2, 4), "-t", String(seconds), ...words]);
  const code = await client.exit;
  if (code !== 0) throw new Error(`iperf3 failed: ${client.output()}`);
  server.child.kill();
  await server.exit;
}

/** What the data workers of both ends collected during `seconds` of each load, after `warmup` seconds of each. */
export async function workerCollections(seconds: number, warmup = 1): Promise<{ worker: string[]; control: number }> {
  const program = [process.execPath, "--trace-gc", TORTIE, "device"];
  const t = await tunnel({ programs: [program, program] });
  try {
    t.configure();
    answers(t.a, inner(2, 4));
    const ends = [t.a, t.b];
    const control = [await controlIsolate(t.a), await controlIsolate(t.b)];
    for (const words of LOADS) await load(t.a, t.b, warmup, words);
    const before = ends.map((e) => collections(e.device).length);
    for (const words of LOADS) await load(t.a, t.b, seconds, words);
    // It collects while it starts: else nobody would have heard of it during the load either.
    for (const [i, e] of ends.entries())
      if (!collections(e.device).some((c) => c.isolate !== control[i])) throw new Error("nothing was heard of the data worker's collections");
    const during = ends.map((e, i) => collections(e.device).slice(before[i]));
    return {
      worker: during.flatMap((all, i) => all.filter((c) => c.isolate !== control[i]).map((c) => c.line)),
      control: during.flatMap((all, i) => all.filter((c) => c.isolate === control[i])).length,
    };
  } finally {
    await t.close();
  }
}
