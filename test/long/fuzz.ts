// Mutated capture files: whatever is in them, the reader answers with what could be read, in bounded memory, and never throws.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { packetEk, packetJson } from "../../src/capture/json.ts";
import { Dissector, linesOf, readCapture } from "../../src/capture/index.ts";
import { Tracker } from "../../src/capture/tracker.ts";
import { displayFilter } from "../../src/capture/display/index.ts";
import { fieldNames } from "../../src/capture/fields/registry.ts";
import { treeLines } from "../../src/capture/tree.ts";
import { secretsFrom } from "../../src/cli/captures/keys.ts";
import { nodeCrypto } from "../../src/crypto/node.ts";
import type { Scenario } from "./main.ts";
import { randomOf } from "../../src/base/random.cases.ts";

const CORPUS = new URL("../captures", import.meta.url).pathname;
const MEMORY_LIMIT = 512 << 20;

function mutate(bytes: Uint8Array, random: () => number): Uint8Array {
  const out = bytes.slice(0, random() < 0.1 ? Math.floor(random() * bytes.length) : bytes.length);
  const changes = 1 + Math.floor(random() * 8);
  for (let i = 0; i < changes && out.length > 0; i++) {
    const at = Math.floor(random() * out.length);
    // Lengths are what hurts: extremes as often as noise.
    out[at] = random() < 0.4 ? [0, 1, 0x7f, 0x80, 0xff][Math.floor(random() * 5)]! : Math.floor(random() * 256);
  }
  return out;
}

/** Filters that look at every field, at slices and at texts. */
const FILTERS = [...fieldNames().map((f) => `${f}`), "frame[0:4] contains 00", 'frame matches "a+b"', "len(data.data) > 3"].map(displayFilter);

/** All that `tortie inspect` does with a file. */
function inspect(bytes: Uint8Array, salvage: boolean): void {
  const file = readCapture(bytes, { salvage });
  const secrets = secretsFrom(file.secrets, []);
  const tracker = new Tracker(nodeCrypto, secrets);
  tracker.learn(file.packets.map((p) => tracker.handshakeIn(p)).filter((m) => m !== undefined));
  const packets = file.packets.map((p) => tracker.add(p));
  const dissector = new Dissector({ secrets, flows: true, pcapng: true, names: file.names });
  for (const p of packets) {
    const d = dissector.add(p);
    linesOf(p, d);
    treeLines(d.tree());
    packetJson(d);
    packetEk(d);
    for (const f of FILTERS) f.test(d);
  }
}

export const fuzz: Scenario = {
  name: "mutated capture files",
  minutes: 0.2,
  async run(minutes) {
    const seed = Date.now() & 0xffffff;
    const random = randomOf(seed);
    const files = readdirSync(CORPUS, { recursive: true, encoding: "utf8" }).filter((f) => /\.pcap(ng)?$/.test(f));
    const corpus = files.map((f) => Uint8Array.from(readFileSync(join(CORPUS, f))));
    if (corpus.length === 0) throw new Error("no captures found");
    let runs = 0;
    const before = process.memoryUsage().rss;
    for (const end = Date.now() + minutes * 60_000; Date.now() < end; runs++) {
      const n = Math.floor(random() * corpus.length);
      const input = mutate(corpus[n]!, random);
      try {
        inspect(input, random() < 0.5);
      } catch (thrown) {
        throw new Error(`seed ${seed}, run ${runs}, ${files[n]!}: ${String(thrown)}`, { cause: thrown });
      }
      if (runs % 1000 === 0) await new Promise((r) => setImmediate(r));
    }
    const grown = process.memoryUsage().rss - before;
    if (grown > MEMORY_LIMIT) throw new Error(`seed ${seed}: memory grew by ${grown >> 20} MiB`);
    return `${runs} mutations of ${files.length} files, no throw, memory grew by ${grown >> 20} MiB (seed ${seed})`;
  },
};
