// A fuzzer of all that is done with what was read: sessions, opening, dissecting, filters, the doctor's words. Mutated are files, and packets in sound files, so
// that what lies deep is reached too.
import type { Dice, Fuzzer } from "../base/random.cases.ts";
import { nodeCrypto } from "../crypto/node.ts";
import { alarmsOf } from "./alarms.ts";
import { Analysis } from "./analysis.ts";
import { displayFilter } from "./display/index.ts";
import { Dissector } from "./dissect.ts";
import { examine, introduce } from "./doctor.ts";
import { type KeyLog, parseKeyLog } from "./keylog.ts";
import type { CaptureEvent } from "./packet.ts";
import { peerPairs } from "./peers.ts";
import { CaptureReader } from "./reader.ts";
import { linesOf } from "./summary.ts";
import type { TrackedPacket } from "./tracked.ts";
import { partLines, treeLines } from "./tree.ts";

const FILTERS = ["wg", "ip.addr == 10.77.0.1", "tcp.flags.syn == 1 || icmp", "frame[0:4] contains 00", "udp.port in {51820..51830}"].map(
  displayFilter,
);

function eventsOf(dice: Dice, file: Uint8Array): CaptureEvent[] {
  const [bytes, inside] = dice.chance(0.5) ? [dice.mutated(file), 0] : [file, 0.2];
  const reader = new CaptureReader({ salvage: dice.chance(0.5) });
  const events = [...reader.push(bytes), ...reader.end()];
  return events.map((e) => (e.kind === "packet" && dice.chance(inside) ? { ...e, packet: { ...e.packet, data: dice.mutated(e.packet.data) } } : e));
}

/** All that `tortie inspect` and `tortie decrypt` do, of files of `corpus` with the keys of `log`. */
export const analyses = (corpus: readonly Uint8Array[], log: string): Fuzzer => ({
  name: "analysis of captures",
  start: (dice) => {
    const keys: KeyLog = parseKeyLog(log);
    return () => {
      const events = eventsOf(dice, dice.pick(corpus));
      const live = dice.chance(0.3);
      const analysis = new Analysis({ crypto: nodeCrypto, live, logs: dice.chance(0.7) ? [keys] : [] });
      if (!live) analysis.learn(events);
      const dissector = new Dissector({ secrets: analysis.secrets, flows: true, pcapng: true });
      /** By number: live, a packet comes once more when keys come that open it. */
      const packets = new Set<number>();
      const each = (t: TrackedPacket): void => {
        if (!live && packets.has(t.packet.number)) throw new Error(`packet ${t.packet.number} was handed over twice`);
        packets.add(t.packet.number);
        const d = dissector.add(t);
        linesOf(t, d);
        if (treeLines(d.tree()).join("\n") !== partLines(d.parts).join("\n"))
          throw new Error(`the lines of packet ${t.packet.number} differ from its tree`);
        for (const f of FILTERS) f.test(d);
        for (const m of t.messages)
          if (m.opened && m.opened.bytes.length > t.packet.data.length + 65_535) throw new Error("an inner packet larger than what holds it");
      };
      analysis.open(events, each);
      if (live) analysis.addKeys(keys, each);
      analysis.end();
      const expected = events.filter((e) => e.kind === "packet").length;
      if (packets.size !== expected) throw new Error(`${packets.size} of ${expected} packets were handed over`);
      introduce(analysis.secrets, analysis.sessions);
      for (const s of analysis.sessions) examine(s, analysis.secrets);
      for (const p of peerPairs(analysis.sessions)) alarmsOf(p);
    };
  },
});
