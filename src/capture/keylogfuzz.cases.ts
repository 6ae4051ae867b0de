// A fuzzer of key logs: good lines among garbage. The good ones are taken, each bad one is reported by its line, and no word says anything of a key.
import { toBase64, toHex } from "../base/bytes.ts";
import type { Dice, Fuzzer } from "../base/random.cases.ts";
import { parseKeyLog } from "./keylog.ts";

type Line = { readonly text: string; readonly is: "good" | "bad" | "nothing" };

const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_";
const words = (dice: Dice, of: string, length: number): string => Array.from({ length }, () => of[dice.below(of.length)]).join("");

function line(dice: Dice, key: string): Line {
  switch (dice.below(12)) {
    case 0:
      return { text: `# ${key}`, is: "nothing" };
    case 1:
      return { text: " ".repeat(dice.below(5)), is: "nothing" };
    case 2:
      return { text: `LOCAL_EPHEMERAL_PRIVATE_KEY = ${key.slice(0, dice.below(43))}`, is: "bad" };
    case 3:
      return { text: `LOCAL_EPHEMERAL_PRIVATE_KEY = ${key}${words(dice, LETTERS, 1 + dice.below(2000))}`, is: "bad" };
    case 4:
      return { text: `LOCAL_STATIC_KEY = ${key}`, is: "bad" };
    case 5:
      return { text: `${key}${key}`, is: "bad" };
    case 6:
      return { text: `0x${toHex(dice.bytes(3))} ${key}`, is: "bad" };
    case 7:
      return { text: `0x${toHex(dice.bytes(4))} ${key.slice(1)}~`, is: "bad" };
    case 8:
      // A key that is all letters, and something after it.
      return { text: `${key.slice(0, -1).replaceAll(/[^A-Za-z]/g, dice.pick(["x", "_"]))}= ${key}`, is: "bad" };
    case 9:
      return { text: String.fromCodePoint(...Array.from(dice.bytes(1 + dice.below(300)), (b) => 0x100 + b)), is: "bad" };
    case 10:
      return { text: `PrivateKey\0 = ${key}`, is: "bad" };
    default:
      return { text: `LOCAL_EPHEMERAL_PRIVATE_KEY = ${key}`, is: "good" };
  }
}

export const keyLogs: Fuzzer = {
  name: "key logs",
  start: (dice) => () => {
    const keys: string[] = [];
    const lines = Array.from({ length: dice.below(60) }, () => {
      const key = toBase64(dice.bytes(32));
      keys.push(key);
      return line(dice, key);
    });
    const log = parseKeyLog(lines.map((l) => l.text).join(dice.pick(["\n", "\r\n"])));
    const refused = new Set(log.problems.filter((p) => p.ours === "refused").map((p) => p.line));
    const bad = lines.flatMap((l, i) => (l.is === "bad" ? [i + 1] : []));
    if ([...refused].join() !== bad.join()) throw new Error(`lines ${bad.join()} are garbage, ${[...refused].join()} were reported`);
    const good = lines.flatMap((l, i) => (l.is === "good" ? [keys[i]] : []));
    if (String(log.ephemerals.map((e) => toBase64(e.privateKey))) !== String(good)) throw new Error("not all that is good was taken");
    const said = log.problems.map((p) => p.why).join("\n");
    for (const [i, key] of keys.entries())
      for (const text of [key, lines[i]!.text])
        for (let at = 0; at + 8 <= text.length; at++) {
          const piece = text.slice(at, at + 8);
          // The kinds of lines have names, which are no secrets.
          if (!/^[A-Z_ =]*$/.test(piece) && said.includes(piece)) throw new Error(`line ${i + 1}: a problem repeats a piece of what stands there`);
        }
  },
};

/** Noise in a log that was sound: nothing is promised but an answer, of bounded length. */
export const noisyKeyLogs = (corpus: readonly string[]): Fuzzer => ({
  name: "noise in key logs",
  start: (dice) => () => {
    const bytes = dice.mutated(new TextEncoder().encode(dice.pick(corpus)), [0, 9, 10, 13, 0x23, 0x3d, 0x7f, 0xff]);
    const text = new TextDecoder().decode(bytes);
    const log = parseKeyLog(text);
    const count = text.split("\n").length;
    if (log.problems.some((p) => p.line < 1 || p.line > count)) throw new Error("a line that is not there");
    if (log.problems.some((p) => p.why.length > 300)) throw new Error("a problem that is too long");
  },
});
