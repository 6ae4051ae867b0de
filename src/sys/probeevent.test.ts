import { describe, expect, test } from "vitest";
import { toHex, utf8 } from "../base/bytes.ts";
import { parseEvent } from "./probeevent.ts";

const SYMBOL = "wg_index_hashtable_insert";
const array = (bytes: Uint8Array): string => `{${Array.from(bytes, (b) => `0x${b.toString(16)}`).join(",")}}`;
const key = Uint8Array.from({ length: 32 }, (_, i) => 8 * i);
// As Linux 6.12 wrote it, with a key of ours.
const line = (rest: string, task = "     kworker/0:1-9     "): string =>
  `${task}  [000] .....    76.530: handshake: (${SYMBOL}+0x4/0x130 [wireguard]) ${rest}`;
const parsed = (text: string): Record<string, string> | undefined => {
  const event = parseEvent(utf8(text), SYMBOL);
  return event && Object.fromEntries(Array.from(event, ([name, value]) => [name, typeof value === "string" ? value : toHex(value)]));
};

describe("parseEvent()", () => {
  test.for<[string, string, Record<string, string> | undefined]>([
    [
      "strings, numbers and keys",
      line(`if="wg0" ns=4026531840 type=1 static=${array(key)}`),
      { if: "wg0", ns: "4026531840", type: "1", static: toHex(key) },
    ],
    ["what could not be read is left out", line(`if=(fault) type=1 static=(fault) remote=${array(key)}`), { type: "1", remote: toHex(key) }],
    ["an array that is none", line("a={0x1,0x100} b={0x1,zz} c={7} d={}"), { d: "" }],
    ["cut in the middle", line("type=1 remote={0x1,0x2").slice(0, -3), { type: "1", remote: "01" }],
    ["another probe's event", line("type=1").replace(SYMBOL, "other"), undefined],
    ["events that were lost", "CPU:0 [LOST 12 EVENTS]", undefined],
    ["a task that poses as an event", line("type=1", " (x) static={0x1}-9 "), { type: "1" }],
    ["a name with a quotation mark", line(`if="w"g" type=1`), { if: "w", 'g" type': "1" }],
    ["nothing", "", undefined],
  ])("%s", ([, text, want]) => expect(parsed(text)).toEqual(want));
});
