// The canary: pods send each other a random marker, over every pair, also in fragments and to a closed port (section 7.7). Seen on a wire in the clear,
// whatever it is wrapped in, it is a proof of exposure; delivered and never seen, it proves that traffic went over the paths and that none was readable.
import { randomBytes } from "node:crypto";
import type { CaptureFile } from "../../capture/reader.ts";
import { enterMember, environment, type LabPod, type RunningLab } from "../../lab/enter.ts";
import { startPiped } from "../../sys/child.ts";

export type CanaryResult = {
  /** Ordered pairs of pods on different nodes. */
  readonly pairs: readonly { readonly from: string; readonly to: string; readonly sent: number; readonly received: number }[];
  /** Trouble of a sender. */
  readonly errors: readonly string[];
};

const ROUNDS = 12;
const INTERVAL_MS = 60;
const PORT = 40_404;
const LIMIT_MS = 20_000;

// Runs in a pod: `node -e` with what to do as an argument. Listens, sends a few datagrams to every other pod, says what came.
const SENDER = `
const { createSocket } = require("node:dgram");
const o = JSON.parse(process.argv[1]);
const marker = Buffer.from(o.marker, "hex");
const small = Buffer.concat(Array(8).fill(marker));
const large = Buffer.concat(Array(94).fill(marker));
const received = {}, sent = {}, errors = {};
const s = createSocket("udp4");
s.on("message", (m, from) => { if (m.includes(marker)) received[from.address] = (received[from.address] || 0) + 1; });
s.on("error", (e) => { errors[e.message] = 1; });
s.bind(o.port, o.address, () => {
  process.stdout.write("ready\\n");
  let n = 0;
  const send = (data, port, to) => s.send(data, port, to, (e) => { if (e) errors[e.message] = 1; });
  setTimeout(function round() {
    for (const to of o.targets) {
      send(small, o.port, to); sent[to] = (sent[to] || 0) + 1;
      if (n === 3) { send(large, o.port, to); sent[to]++; }
      if (n === 5) send(small, o.port + 1, to);
    }
    if (++n < o.rounds) setTimeout(round, o.interval);
    else setTimeout(() => { process.stdout.write(JSON.stringify({ sent, received, errors: Object.keys(errors) }) + "\\n"); process.exit(0); }, 400);
  }, 400);
});
`;

type Said = { sent: Record<string, number>; received: Record<string, number>; errors: string[] };

export class Canary {
  /** 32 random bytes, repeated in every datagram. */
  readonly marker: Buffer = randomBytes(32);

  /** Sends between all pods of the lab that have an address. */
  async run(lab: RunningLab): Promise<CanaryResult> {
    const pods = lab.pods.filter((p) => p.address !== "");
    const said = await Promise.all(
      pods.map((p) =>
        this.#send(
          lab,
          p,
          pods.filter((o) => o !== p).map((o) => o.address),
        ),
      ),
    );
    const errors: string[] = [];
    const pairs: CanaryResult["pairs"][number][] = [];
    for (const [i, from] of pods.entries()) {
      const mine = said[i]!;
      if (typeof mine === "string") {
        errors.push(`${from.name}: ${mine}`);
        continue;
      }
      errors.push(...mine.errors.map((e) => `${from.name}: ${e}`));
      for (const [k, to] of pods.entries()) {
        const theirs = said[k]!;
        if (from === to || from.node === to.node) continue;
        pairs.push({
          from: from.name,
          to: to.name,
          sent: mine.sent[to.address] ?? 0,
          received: typeof theirs === "string" ? 0 : (theirs.received[from.address] ?? 0),
        });
      }
    }
    return { pairs, errors };
  }

  #send(lab: RunningLab, pod: LabPod, targets: string[]): Promise<Said | string> {
    const options = { marker: this.marker.toString("hex"), port: PORT, address: pod.address, targets, rounds: ROUNDS, interval: INTERVAL_MS };
    const [file, ...args] = [...enterMember(lab, pod), process.execPath, "-e", SENDER, "--", JSON.stringify(options)];
    return new Promise((resolve) => {
      const child = startPiped([file, ...args], { env: environment(process.env) });
      child.stdin.on("error", () => {}).end();
      const timer = setTimeout(() => process.kill(-child.pid!, "SIGKILL"), LIMIT_MS);
      let out = "";
      let err = "";
      child.stdout.setEncoding("utf8").on("data", (t: string) => (out += t));
      child.stderr.setEncoding("utf8").on("data", (t: string) => (err += t));
      child.once("error", (e) => {
        clearTimeout(timer);
        resolve(e.message);
      });
      child.once("close", (code) => {
        clearTimeout(timer);
        const last = out.trim().split("\n").at(-1) ?? "";
        try {
          resolve(JSON.parse(last) as Said);
        } catch {
          resolve(err.trim().split("\n").at(-1) || `the sender ended with ${code}`);
        }
      });
    });
  }

  /** Frames of a capture that hold the marker, wherever in them. */
  hits(file: CaptureFile): number[] {
    return file.packets.filter((p) => Buffer.from(p.data.buffer, p.data.byteOffset, p.data.length).includes(this.marker)).map((p) => p.number);
  }
}
