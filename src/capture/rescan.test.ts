import { expect, test } from "vitest";
import { toHex } from "../base/bytes.ts";
import { batchOpener } from "../crypto/batchopener.ts";
import { nodeCrypto } from "../crypto/node.ts";
import { captures, list, open, textOf } from "./fixtures.cases.ts";
import { keyLogOf, parseKeyLog } from "./keylog.ts";
import { Secrets } from "./secrets.ts";
import type { TrackedPacket } from "./tracked.ts";
import { Tracker } from "./tracker.ts";

const keys = list(".")
  .filter((f) => f.endsWith(".keys"))
  .map(textOf)
  .join("\n");
const told = (t: TrackedPacket): unknown => [
  t.packet.number,
  t.isPut,
  t.messages.map((m) => [m.message.type, toHex(m.message.bytes), m.session?.number, m.way, m.failure, m.opened && toHex(m.opened.bytes)]),
];
const outside = (t: TrackedPacket): unknown => [t.packet.number, t.messages.map((m) => [m.message.type, m.session?.number, m.way])];

/** Packets before a last fragment that are looked through. */
const BEFORE = 20;

test("a second walk tells of every packet what a look at it tells, opened in batches, one by one, or not", () => {
  const batches = batchOpener();
  let opened = 0;
  for (const name of captures()) {
    const file = open(name, { salvage: true });
    const secrets = new Secrets(nodeCrypto);
    const own = keyLogOf(file.secrets);
    for (const log of [parseKeyLog(keys), ...(own ? [own] : [])]) secrets.add(log);
    for (const opener of [undefined, batches]) {
      const tracker = new Tracker(nodeCrypto, secrets, opener ? { opener } : {});
      tracker.learn(file.packets.map((p) => tracker.handshakeIn(p)).filter((m) => m !== undefined));
      for (const p of file.packets) tracker.add(p);
      tracker.end();
      const walk = (opens: boolean, tell: (t: TrackedPacket) => unknown): unknown[] => {
        const found: unknown[] = [];
        const each = (t: TrackedPacket): void => void found.push(tell(t));
        const rescan = tracker.rescan(opens);
        for (const p of file.packets) rescan.take(p, each);
        rescan.flush(each);
        return found;
      };
      const looks = file.packets.map((p, i) => {
        const t = tracker.look(p);
        // Which packets are last fragments tells the walk; a look is given what came before.
        return { t, put: () => tracker.look(p, file.packets.slice(Math.max(0, i - BEFORE), i)) };
      });
      const isPut = walk(true, (t) => t.isPut);
      const expected = looks.map(({ t, put }, i) => (isPut[i] ? put() : t));
      opened += expected.filter((t) => t.messages.some((m) => m.opened)).length;
      expect(walk(true, told), name).toEqual(expected.map(told));
      expect(walk(false, outside), name).toEqual(expected.map(outside));
    }
  }
  batches.wipe();
  expect(opened).toBeGreaterThan(500);
});
