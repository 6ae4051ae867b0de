// Real traffic through two of our devices, of every shape in turn, while sessions are renewed several times a second and peers come and go: at the end no
// more memory, descriptors and threads than before, and in 20 minutes more sessions and peers were made than there are slots for them.
import { randomBytes } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { answers, type End, IF, inner, tunnel, uapi, WG } from "../device/tunnel.ts";
import { eventually } from "../device/host.ts";
import type { Scenario } from "./main.ts";

const LOADS = [[], ["-R"], ["-P", "4"], ["-u", "-b", "0", "-l", "1380"], ["-u", "-b", "0", "-l", "64"], ["-u", "-b", "50M", "-l", "4000"]] as const;
const LOAD_SECONDS = 3;
/** Between two renewals; each is asked of one end, then the other. */
const RENEWAL_MS = 50;
/** V8 takes thousands of renewals until the heap of a control thread has its size. */
const WARMUP_MS = 60_000;
const STRANGERS = 64;
/** What garbage collection on the control thread may leave between two looks. */
const GROWTH_KB = 4096;

type Look = { readonly residentKb: number; readonly handles: number; readonly threads: number };
function look(end: End): Look {
  const proc = `/proc/${end.device.child.pid}`;
  const residentKb = Number(/VmRSS:\s+([0-9]+)/.exec(readFileSync(`${proc}/status`, "utf8"))![1]);
  return { residentKb, handles: readdirSync(`${proc}/fd`).length, threads: readdirSync(`${proc}/task`).length };
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

/** Renews the session and exchanges strangers among the peers, with a pause in between, until `until`. How often. */
async function churn(ends: readonly End[], pause: number, until: () => boolean): Promise<{ renewals: number; strangers: number }> {
  let renewals = 0;
  let strangers = 0;
  while (!until()) {
    const end = ends[renewals % 2]!;
    if (!(await uapi(end, "tortie_handshake=1\n\n")).startsWith("errno=0")) throw new Error("a renewal was refused");
    renewals++;
    if (renewals % 20 === 0) {
      const keys = Array.from({ length: STRANGERS }, () => randomBytes(32).toString("hex"));
      const add = keys.map((k, i) => `public_key=${k}\nallowed_ip=10.99.${i}.0/24\n`).join("");
      const remove = keys.map((k) => `public_key=${k}\nremove=true\n`).join("");
      for (const request of [add, remove])
        if (!(await uapi(end, `set=1\n${request}\n`)).startsWith("errno=0")) throw new Error("strangers were refused");
      strangers += STRANGERS;
    }
    await new Promise((r) => setTimeout(r, pause));
  }
  return { renewals, strangers };
}

const middle = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;

export const soak: Scenario = {
  name: "soak: real traffic while sessions and peers come and go",
  minutes: 6,
  share: 8,
  async run(minutes) {
    const t = await tunnel();
    try {
      t.configure();
      answers(t.a, inner(2, 4));
      const ends = [t.a, t.b];
      const end = Date.now() + minutes * 60_000;
      let over = false;
      const warm = Date.now() + WARMUP_MS;
      await churn(ends, 20, () => Date.now() > warm);
      const churning = churn(ends, RENEWAL_MS, () => over);
      churning.catch(() => {}); // it is awaited below
      const looks: Look[][] = [];
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

      // The first third warms up the workers.
      const settled = looks.slice(Math.floor(looks.length / 3));
      const growth = ends.map((_, i) => {
        const [early, late] = [settled.slice(0, Math.ceil(settled.length / 2)), settled.slice(Math.floor(settled.length / 2))];
        const grown = (pick: (l: Look) => number): number => middle(late.map((l) => pick(l[i]!))) - middle(early.map((l) => pick(l[i]!)));
        return { kb: grown((l) => l.residentKb), handles: grown((l) => l.handles), threads: grown((l) => l.threads), last: looks.at(-1)![i]! };
      });
      const text = growth
        .map(
          (g) =>
            `${(g.last.residentKb / 1024).toFixed(0)} MiB (${g.kb >= 0 ? "+" : ""}${g.kb} KiB), ${g.last.handles} descriptors (+${g.handles}), ${g.last.threads} threads (+${g.threads})`,
        )
        .join("; ");
      const what = `${minutes.toFixed(1)} min, ${(bytes / 1e9).toFixed(1)} GB, ${renewals} renewals asked for, ${strangers} peers came and went; at the ends ${text}, growth between the halves after a warm-up, ${looks.length} looks`;
      if (growth.some((g) => g.kb > GROWTH_KB || g.handles > 0 || g.threads > 0)) throw new Error(`something grows: ${what}`);
      return what;
    } finally {
      await t.close();
    }
  },
};
