// The line of a WireGuard packet, which needs no dissection, beside its naive twin from the layers; over all captures and packets of them that were changed.
import { expect, test } from "vitest";
import { Dice, randomOf } from "../base/random.cases.ts";
import { nodeCrypto } from "../crypto/node.ts";
import { Dissection } from "./dissect.ts";
import { captures, open } from "./fixtures.cases.ts";
import { Secrets } from "./secrets.ts";
import { linesOf, plainLine } from "./summary.ts";
import { Tracker } from "./tracker.ts";

test("source and destination of WireGuard are those of the layers", () => {
  const seed = Date.now() & 0xffffff;
  const dice = new Dice(randomOf(seed));
  let messages = 0;
  for (let round = 0; round < 6; round++)
    for (const name of captures()) {
      const tracker = new Tracker(nodeCrypto, new Secrets(nodeCrypto));
      for (const p of open(name, { salvage: true }).packets) {
        const packet = round === 0 || dice.chance(0.3) ? p : { ...p, data: dice.mutated(p.data) };
        const t = tracker.add(packet);
        if (t.messages.length === 0) continue;
        messages++;
        const { outer } = linesOf(t);
        const { src, dst } = plainLine(t, new Dissection(t));
        expect([seed, name, packet.number, outer.protocol, outer.src, outer.dst]).toEqual([seed, name, packet.number, "WireGuard", src, dst]);
      }
    }
  expect(messages).toBeGreaterThan(1000);
});
