import fc from "fast-check";
import { expect, test } from "vitest";
import { decoder, encode, type Report } from "./channel.ts";

test("decoder() gives the messages that encode() wrote, wherever the stream is cut", () => {
  const report = fc.oneof(
    fc.record({ stage: fc.string(), ms: fc.nat() }),
    fc.record({ failed: fc.string({ unit: "binary" }), hint: fc.string() }),
  ) as fc.Arbitrary<Report>;
  fc.assert(
    fc.property(fc.array(report, { maxLength: 8 }), fc.array(fc.nat(200), { maxLength: 20 }), (messages, cuts) => {
      const text = messages.map(encode).join("");
      const got: Report[] = [];
      const take = decoder<Report>((m) => got.push(m));
      let at = 0;
      for (const cut of cuts) {
        take(text.slice(at, at + cut));
        at += cut;
      }
      take(text.slice(at));
      expect(got).toEqual(messages);
    }),
  );
});
