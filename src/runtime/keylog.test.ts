import { describe, expect, test } from "vitest";
import { fromUtf8, toBase64 } from "../base/bytes.ts";
import { Keylog, sessionLines, staticLines } from "./keylog.ts";

const key = (n: number): Uint8Array<ArrayBuffer> => new Uint8Array(32).fill(n);
const record = () => ({ localStaticPrivate: key(1), remoteStaticPublic: key(2), localEphemeralPrivate: key(3), presharedKey: key(0) });

describe("Keylog", () => {
  test("record() writes the canonical four lines to every listener at once, and wipes the keys", () => {
    const log = new Keylog();
    const heard: string[][] = [[], []];
    const stops = heard.map((h) => log.add({ write: (lines) => void h.push(fromUtf8(lines)) }));
    const r = record();
    log.record(r);
    const want =
      `LOCAL_STATIC_PRIVATE_KEY = ${toBase64(key(1))}\nREMOTE_STATIC_PUBLIC_KEY = ${toBase64(key(2))}\n` +
      `LOCAL_EPHEMERAL_PRIVATE_KEY = ${toBase64(key(3))}\nPRESHARED_KEY = ${toBase64(key(0))}\n`;
    expect(heard).toEqual([[want], [want]]);
    expect([r.localStaticPrivate, r.localEphemeralPrivate]).toEqual([key(0), key(0)]);
    expect([log.readers, log.records]).toEqual([2, 1]);
    expect(stops.map((stop) => stop())).toEqual([true, true]);
    expect(stops.map((stop) => stop())).toEqual([false, false]);
    expect(log.wanted).toBe(false);
  });

  test("a listener hears of the peers that it named, and of no others", () => {
    const log = new Keylog();
    const heard: string[] = [];
    log.add({ write: (lines) => void heard.push(fromUtf8(lines)), peers: [key(7)] });
    log.record(record());
    log.statics(undefined, [key(2)]);
    expect([heard, log.records]).toEqual([[], 0]);
    log.record({ ...record(), remoteStaticPublic: key(7) });
    log.statics(undefined, [key(2), key(7)]);
    expect(heard[0]).toContain(`REMOTE_STATIC_PUBLIC_KEY = ${toBase64(key(7))}\n`);
    expect(heard.slice(1)).toEqual([`REMOTE_STATIC_PUBLIC_KEY = ${toBase64(key(7))}\n`]);
    expect(log.records).toBe(1);
  });

  test("end() takes all listeners away, and tells each once", () => {
    const log = new Keylog();
    const told: number[] = [];
    const stops = [1, 2].map((n) => log.add({ write: () => {}, ended: () => told.push(n) }));
    log.end();
    log.end();
    expect([told, log.wanted, stops.map((stop) => stop())]).toEqual([[1, 2], false, [false, false]]);
  });

  test("staticLines() names the own key, if there is one, and all peers", () => {
    expect(fromUtf8(staticLines(undefined, [key(2)]))).toBe(`REMOTE_STATIC_PUBLIC_KEY = ${toBase64(key(2))}\n`);
    expect(fromUtf8(staticLines(key(1), []))).toBe(`LOCAL_STATIC_PRIVATE_KEY = ${toBase64(key(1))}\n`);
  });

  test("sessionLines() writes the index in eight hex digits", () => {
    expect(fromUtf8(sessionLines([{ receiver: 0xab, key: key(5) }]))).toBe(`WGX_SESSION_KEY = 0x000000ab ${toBase64(key(5))}\n`);
  });
});
