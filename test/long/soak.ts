// Real traffic through two of our devices, of every shape in turn, while sessions are renewed several times a second and peers come and go: at the end no
// more memory, descriptors and threads than before, and in 20 minutes more sessions and peers were made than there are slots for them.
import { randomBytes } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { answers, type End, IF, inner, tunnel, uapi, WG } from "../device/tunnel.ts";
import { eventually } from "../device/host.ts";
import { TORTIE } from "../peers.ts";
import type { Scenario } from "./main.ts";

const LOADS = [[], ["-R"], ["-P", "4"], ["-u", "-b", "0", "-l", "1380"], ["-u", "-b", "0", "-l", "64"], ["-u", "-b", "50M", "-l", "4000"]] as const;
const LOAD_SECONDS = 3;
/** Between two renewals; each is asked of one end, then the other. */
const RENEWAL_MS = 50;
const STRANGERS = 64;
/** V8 gives memory of a heap back and takes it again, and the tables' pages become resident one by one: no trend was seen within this. */
const RESIDENT_KB = 16_384;
/** What a full collection leaves on the control thread is known better. */
const HEAP_MB = 1;

type Look = { readonly residentKb: number; readonly heapMb: number; readonly handles: number; readonly threads: number };
function look(end: End): Look {
  const proc = `/proc/${end.device.child.pid}`;
  const residentKb = Number(/VmRSS:\s+([0-9]+)/.exec(readFileSync(`${proc}/status`, "utf8"))![1]);
  const collected = [...end.device.output().matchAll(/Mark-Compact [^>]*> ([0-9.]+) /g)].at(-1)?.[1];
  return { residentKb, heapMb: Number(collected ?? NaN), handles: readdirSync(`${proc}/fd`).length, threads: readdirSync(`${proc}/task`).length };
}

async function load(from: End, to: End, words: readonly string[]): Promise<number> {
  const server = to.host.spawn(["iperf3", "-s", "-1"]);
  try {
    await eventually(() => {
      if (!to.host.run("ss", "-Hltn").includes(":5201")) throw new Error("iperf3 does not listen");
    });
    const text = await from.host.runAsync("iperf3", "-c", inner(2, 4), "-t", String(LOAD_SECONDS), "-J", ...words);
    return (JSON.parse(text) as { end: { sum_received: { bytes: number } } }).end.sum_received.bytes;
  } finally {
    server.child.kill();
    await server.exit;
  }
}

/** The heap of a control thread has its size after STRANGERS have come and gone so often. */
const WARMUP = 256;

async function ask(end: End, request: string): Promise<void> {
  if (!(await uapi(end, `${request}\n`)).startsWith("errno=0")) throw new Error(`${request.slice(0, request.indexOf("\n"))} was refused`);
}
const renew = (end: End): Promise<void> => ask(end, "tortie_handshake=1\n");
/** STRANGERS peers come and go. */
async function exchange(end: End): Promise<void> {
  const keys = Array.from({ length: STRANGERS }, () => randomBytes(32).toString("hex"));
  await ask(end, `set=1\n${keys.map((k, i) => `public_key=${k}\nallowed_ip=10.99.${i}.0/24\n`).join("")}`);
  await ask(end, `set=1\n${keys.map((k) => `public_key=${k}\nremove=true\n`).join("")}`);
}

/** Renews the session and exchanges strangers among the peers until `until`. How often. */
async function churn(ends: readonly [End, End], until: () => boolean): Promise<{ renewals: number; strangers: number }> {
  let renewals = 0;
  let strangers = 0;
  for (; !until(); renewals++) {
    await renew(ends[renewals % 2]!);
    if (renewals % 10 === 0) {
      await exchange(ends[(renewals / 10) % 2]!);
      strangers += STRANGERS;
    }
    await new Promise((r) => setTimeout(r, RENEWAL_MS));
  }
  return { renewals, strangers };
}

export const soak: Scenario = {
  name: "soak: real traffic while sessions and peers come and go",
  minutes: 6,
  share: 8,
  async run(minutes) {
    const program = [process.execPath, "--trace-gc", TORTIE, "device"];
    const t = await tunnel({ programs: [program, program] });
    try {
      t.configure();
      answers(t.a, inner(2, 4));
      const ends = [t.a, t.b] as const;
      const end = Date.now() + minutes * 60_000;
      let over = false;
      for (let i = 0; i < WARMUP; i++) for (const e of ends) await Promise.all([renew(e), exchange(e)]);
      const churning = churn(ends, () => over);
      churning.catch(() => {}); // it is awaited below
      const looks: Look[][] = [ends.map(look)];
      let bytes = 0;
      try {
        for (let n = 0; Date.now() < end; n++) {
          bytes += await load(t.a, t.b, LOADS[n % LOADS.length]!);
          if (n % LOADS.length === LOADS.length - 1) looks.push(ends.map(look));
        }
      } finally {
        over = true;
      }
      const { renewals, strangers } = await churning;
      answers(t.a, inner(2, 4), 10);
      const made = Number(/^[^\t]+\t([0-9]+)$/m.exec(t.a.host.run(WG, "show", IF, "latest-handshakes"))![1]);
      if (Date.now() / 1000 - made > 60) throw new Error("sessions were not renewed");

      // Of memory peaks are compared, of the rest the least: a control connection is a descriptor for a moment.
      const [early, late] = [looks.slice(0, Math.ceil(looks.length / 2)), looks.slice(Math.ceil(looks.length / 2))];
      const growth = ends.map((_, i) => {
        const grown = (of: (values: number[]) => number, pick: (l: Look) => number): number =>
          of(late.map((l) => pick(l[i]!))) - of(early.map((l) => pick(l[i]!)));
        const [most, fewest] = [(v: number[]): number => Math.max(...v), (v: number[]): number => Math.min(...v)];
        return {
          kb: grown(most, (l) => l.residentKb),
          heap: grown(fewest, (l) => l.heapMb),
          handles: grown(fewest, (l) => l.handles),
          threads: grown(fewest, (l) => l.threads),
          last: looks.at(-1)![i]!,
        };
      });
      const signed = (n: number): string => (n < 0 ? String(n) : `+${n}`);
      const text = growth
        .map(({ kb, heap, handles, threads, last }) =>
          [
            `${(last.residentKb / 1024).toFixed(0)} MiB (${signed(kb)} KiB)`,
            `heap ${last.heapMb} MB (${signed(Number(heap.toFixed(1)))})`,
            `${last.handles} descriptors (${signed(handles)})`,
            `${last.threads} threads (${signed(threads)})`,
          ].join(", "),
        )
        .join("; ");
      const what = `${minutes.toFixed(1)} min, ${(bytes / 1e9).toFixed(1)} GB, ${renewals} renewals asked for, ${strangers} peers came and went; at the ends ${text}, growth from the first half to the second, ${looks.length} looks`;
      if (growth.some((g) => g.kb > RESIDENT_KB || !(g.heap <= HEAP_MB) || g.handles > 0 || g.threads > 0))
        throw new Error(`something grows: ${what}`);
      return what;
    } finally {
      await t.close();
    }
  },
};
