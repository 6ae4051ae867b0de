import { describe, expect, test } from "vitest";
import { fromUtf8, toBase64 } from "../base/bytes.ts";
import { Keylog, staticLines } from "./keylog.ts";

const key = (n: number): Uint8Array<ArrayBuffer> => new Uint8Array(32).fill(n);
const record = () => ({ localStaticPrivate: key(1), remoteStaticPublic: key(2), localEphemeralPrivate: key(3), presharedKey: key(0) });

describe("Keylog", () => {
  test("record() writes the canonical four lines to every listener at once, and wipes the keys", () => {
    const log = new Keylog();
    const heard: string[][] = [[], []];
    const stops = heard.map((h) => log.add((lines) => h.push(fromUtf8(lines))));
    const r = record();
    log.record(r);
    const want =
      `LOCAL_STATIC_PRIVATE_KEY = ${toBase64(key(1))}\nREMOTE_STATIC_PUBLIC_KEY = ${toBase64(key(2))}\n` +
      `LOCAL_EPHEMERAL_PRIVATE_KEY = ${toBase64(key(3))}\nPRESHARED_KEY = ${toBase64(key(0))}\n`;
    expect(heard).toEqual([[want], [want]]);
    expect([r.localStaticPrivate, r.localEphemeralPrivate]).toEqual([key(0), key(0)]);
    for (const stop of stops) stop();
    expect(log.wanted).toBe(false);
  });

  test("staticLines() names the own key, if there is one, and all peers", () => {
    expect(fromUtf8(staticLines(undefined, [key(2)]))).toBe(`REMOTE_STATIC_PUBLIC_KEY = ${toBase64(key(2))}\n`);
    expect(fromUtf8(staticLines(key(1), []))).toBe(`LOCAL_STATIC_PRIVATE_KEY = ${toBase64(key(1))}\n`);
  });
});
