import fc from "fast-check";
import { expect, test } from "vitest";
import { clip, fit, fitLine, plain, safe, span, widthOf, wrap } from "./text.ts";

test.for([
  ["\x1b[31mred\x07", "·[31mred·"],
  ["a\u202eb\u200dc\u0301d\u009b", "a·b·c·d·"],
  ["naïve 漢字 ✓", "naïve 漢字 ✓"],
  ["\ud800x", "·x"],
] as const)("safe(%j) is %j", ([given, shown]) => expect(safe(given)).toBe(shown));

test.for([
  ["abc", 5, "abc"],
  ["abcdef", 4, "abc…"],
  ["漢字漢字", 5, "漢字…"],
  ["漢字漢字", 4, "漢…"],
  ["abc", 1, "…"],
  ["abc", 0, ""],
] as const)("clip(%j, %i) is %j", ([given, width, shown]) => expect(clip(given, width)).toBe(shown));

test("whatever the text, fit() and fitLine() have the width that was asked for", () => {
  fc.assert(
    fc.property(fc.array(fc.string({ unit: "binary", maxLength: 30 }), { maxLength: 4 }), fc.integer({ min: 0, max: 40 }), (texts, width) => {
      expect(widthOf(fit(texts.join(""), width))).toBe(width);
      expect(
        widthOf(
          plain(
            fitLine(
              texts.map((t) => span(t)),
              width,
            ),
          ),
        ),
      ).toBe(width);
    }),
  );
});

test("wrap() keeps every character, in lines that fit", () => {
  expect(wrap("why it does not open", 10, 2)).toEqual(["why it", "  does not", "  open"]);
  fc.assert(
    fc.property(fc.array(fc.stringMatching(/^[a-z]{1,30}$/), { minLength: 1, maxLength: 12 }), fc.integer({ min: 8, max: 40 }), (words, width) => {
      const lines = wrap(words.join(" "), width, 3);
      for (const l of lines) expect(l.length).toBeLessThanOrEqual(width);
      expect(lines.join("").replaceAll(" ", "")).toBe(words.join(""));
    }),
  );
});
