// The fuzzers of `npm run ok`, for longer: what comes from the network, from peers, from the TUN, from the configuration socket and from files.
import { forAWhile, fuzz, type Fuzzer } from "../../src/base/random.cases.ts";
import { analyses } from "../../src/capture/analysisfuzz.cases.ts";
import { captureFiles, ownCaptures } from "../../src/capture/fuzz.cases.ts";
import { list, textOf } from "../../src/capture/fixtures.cases.ts";
import { keyLogs } from "../../src/capture/keylogfuzz.cases.ts";
import { configurationFiles } from "../../src/cli/wg/fuzz.cases.ts";
import { replyLines, setLines } from "../../src/uapi/fuzz.cases.ts";
import { datagrams, handshakes, innerPackets, sizes } from "../../src/wireguard/fuzz.cases.ts";
import { sharedCaptures } from "../capture/corpus.ts";
import type { Scenario } from "./main.ts";

const corpus = [...ownCaptures(), ...sharedCaptures()];
const keys = list(".").filter((f) => f.endsWith(".keys"));
const captures = [captureFiles(corpus), analyses(corpus, keys.map(textOf).join("\n")), keyLogs];
const FUZZERS: readonly Fuzzer[] = [datagrams, sizes, handshakes, innerPackets, setLines, replyLines, configurationFiles, ...captures];
const MEMORY_LIMIT = 256 << 20;

export const parsers: Scenario = {
  name: "datagrams, handshakes, inner packets, configuration, captures and what is done with them, key logs",
  minutes: 0.3,
  async run(minutes) {
    const seed = Date.now() & 0xffffff;
    const before = process.memoryUsage().rss;
    const counts: string[] = [];
    for (const fuzzer of FUZZERS) counts.push(`${await fuzz(fuzzer, seed, forAWhile((minutes * 60_000) / FUZZERS.length))} ${fuzzer.name}`);
    const grown = process.memoryUsage().rss - before;
    if (grown > MEMORY_LIMIT) throw new Error(`seed ${seed}: memory grew by ${grown >> 20} MiB`);
    return `${counts.join(", ")}: nothing broken, memory grew by ${grown >> 20} MiB (seed ${seed})`;
  },
};
