// The two passes: what opens is the same however the events are cut into runs, and wherever keys and handshakes stand.
import { expect, test } from "vitest";
import { Dice, randomOf } from "../base/random.cases.ts";
import { nodeCrypto } from "../crypto/node.ts";
import { Analysis, analyse, type EachPacket, survey } from "./analysis.ts";
import { Dissector } from "./dissect.ts";
import { bytesOf, captures, list, open, textOf } from "./fixtures.cases.ts";
import { type KeyLog, parseKeyLog } from "./keylog.ts";
import type { CaptureEvent } from "./packet.ts";
import { type CaptureFile, CaptureReader } from "./reader.ts";
import { linesOf } from "./summary.ts";
import { treeLines } from "./tree.ts";

/** A file's events in runs of `size`. */
const source = (file: CaptureFile, size = 7) => {
  const events: CaptureEvent[] = file.packets.map((packet) => ({ kind: "packet", packet }));
  file.secrets.forEach((secrets, i) => events.splice(file.secretsAfter[i]! + i, 0, { kind: "secrets", secrets }));
  return async function* (): AsyncGenerator<CaptureEvent[]> {
    for (let i = 0; i < events.length; i += size) yield events.slice(i, i + size);
  };
};
const opened = async (file: CaptureFile, logs: KeyLog[] = [], size?: number): Promise<number> => {
  let n = 0;
  const count: EachPacket = (t) => void (n += t.messages.filter((m) => m.opened && m.opened.bytes.length > 0).length);
  await analyse(source(file, size), { crypto: nodeCrypto, logs }, count);
  return n;
};

test("keys and handshakes may stand anywhere in the file", async () => {
  const keys = [parseKeyLog(textOf("wggo-psk-v4.initiator.keys"))];
  const file = open("wggo-psk-v4.pcap");
  for (const size of [1, 3, 1000]) expect(await opened(file, keys, size)).toBe(22);
  expect(await opened({ ...file, packets: file.packets.toReversed() }, keys)).toBe(22);
  for (const name of list("dsb-placement/")) expect([name, await opened(open(`dsb-placement/${name}`))]).toEqual([name, 22]);
});

test("one pass or two: the same sessions and counts, whatever the order and the keys", async () => {
  const psk = open("wggo-psk-v4.pcap");
  const [log, sessionLog] = ["wggo-psk-v4.initiator.keys", "wggo-psk-v4.session.keys"].map((f) => parseKeyLog(textOf(f)));
  const dataFirst = { ...psk, packets: [...psk.packets.slice(2), ...psk.packets.slice(0, 2)] };
  const files = [...captures().map((name) => open(name)), dataFirst, { ...psk, packets: psk.packets.toReversed() }];
  for (const file of files)
    for (const logs of [[], [log!], [sessionLog!]]) {
      const two = await analyse(source(file), { crypto: nodeCrypto, logs });
      let passes = 0;
      const counted = (): AsyncGenerator<CaptureEvent[]> => (passes++, source(file)());
      const few = await survey(counted, { crypto: nodeCrypto, logs, data: logs.length > 0 ? "open" : "count" });
      expect(passes).toBeLessThanOrEqual(3);
      const told = (a: typeof two): unknown =>
        a.sessions.map((s) => [s.initiation?.frame, s.response?.frame, s.initiatorIndex, s.responderIndex, s.counts]);
      expect(told(few)).toEqual(told(two));
      expect(few.facts).toEqual(two.facts);
    }
});

test("the callback sees each packet once, in order, and can end the analysis", async () => {
  for (const name of captures()) {
    const file = open(name);
    const seen: number[] = [];
    const analysis = await analyse(source(file), { crypto: nodeCrypto }, (t) => void seen.push(t.packet.number));
    expect(seen).toEqual(file.packets.map((p) => p.number));
    expect(analysis.facts.packets).toBe(file.packets.length);
  }
  const seen: number[] = [];
  await analyse(source(open("wggo-psk-v4.pcap")), { crypto: nodeCrypto }, (t) => seen.push(t.packet.number) < 5);
  expect(seen).toEqual([1, 2, 3, 4, 5]);
});

const SEED = Number(process.env.SEED ?? Date.now() % 2 ** 31);

test(`a piece of a file is done with when its events were taken: its memory may be used again, seed ${SEED}`, () => {
  const log = parseKeyLog(
    list(".")
      .filter((f) => f.endsWith(".keys"))
      .map(textOf)
      .join("\n"),
  );
  const dice = new Dice(randomOf(SEED));
  const told = (bytes: Uint8Array, size: number, reused: boolean, data: "open" | "count"): unknown => {
    const lines: unknown[] = [];
    const analysis = new Analysis({ crypto: nodeCrypto, logs: data === "open" ? [log] : [], data });
    const pass = (take: (events: CaptureEvent[]) => void): void => {
      const reader = new CaptureReader({ salvage: true });
      for (let at = 0; at < bytes.length; at += size) {
        const piece = bytes.slice(at, at + size);
        take(reader.push(piece));
        if (reused) piece.fill(0xa5);
      }
      take(reader.end());
    };
    if (data === "open") pass((events) => analysis.learn(events));
    const dissector = new Dissector({ secrets: analysis.secrets, flows: true, pcapng: true });
    const each: EachPacket = (t) => {
      const d = dissector.add(t);
      lines.push(linesOf(t, d), treeLines(d.tree()));
    };
    pass((events) => analysis.open(events, data === "open" ? each : undefined));
    analysis.end();
    const { sessions, facts, keyProblems, fragments, untracked } = analysis;
    return structuredClone({ sessions, facts: { ...facts }, keyProblems, fragments, untracked, lines });
  };
  for (const name of captures().filter((f) => bytesOf(f).length < 40_000)) {
    const whole = bytesOf(name);
    for (const bytes of [whole, dice.mutated(whole)])
      for (const data of ["open", "count"] as const) {
        const size = 1 + dice.below(dice.pick([200, 2000, 20_000]));
        expect([name, size, told(bytes, size, true, data)]).toEqual([name, size, told(bytes, size, false, data)]);
      }
  }
});
