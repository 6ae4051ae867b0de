import { describe, expect, test } from "vitest";
import { toBase64, utf8 } from "../base/bytes.ts";
import { formatKeyLog, handshakeRecord, KeyLogReader, keyLogText, parseKeyLog } from "./keylog.ts";

const A = toBase64(new Uint8Array(32).fill(1));
const B = toBase64(new Uint8Array(32).fill(2));
const C = toBase64(new Uint8Array(32).fill(3));
const EPHEMERAL = `LOCAL_EPHEMERAL_PRIVATE_KEY = ${A}`;

// What Wireshark takes is taken; what it does not take is taken with a word about it, or refused with one (section 2.1).
test.for<[string, string, taken: boolean, problem?: RegExp]>([
  ["plain", EPHEMERAL, true],
  ["blanks before, no blanks round =, CRLF", `  LOCAL_EPHEMERAL_PRIVATE_KEY=${A}\r\n`, true],
  ["a tab before", `\t${EPHEMERAL}`, true, /a tab/],
  ["blanks after", `${EPHEMERAL} `, true, /blanks stand after/],
  ["small letters", EPHEMERAL.replace("LOCAL_EPHEMERAL_PRIVATE_KEY", "local_ephemeral_private_key"), true, /Wireshark ignores/],
  ["hex", `LOCAL_EPHEMERAL_PRIVATE_KEY = ${"01".repeat(32)}`, true, /hex/],
  ["without padding", EPHEMERAL.slice(0, -1), true, /not in standard base64/],
  ["too short", `LOCAL_EPHEMERAL_PRIVATE_KEY = ${A.slice(0, 20)}`, false, /20 characters/],
  ["a remark after the key", `${EPHEMERAL} # of node a`, true, /a remark stands after/],
  ["a byte order mark", `\ufeff${EPHEMERAL}`, true, /byte order mark/],
  ["an unknown type", `LOCAL_EPHEMERAL_KEY = ${A}`, false, /no kind of key: LOCAL_EPHEMERAL_PRIVATE_KEY is/],
  ["a comment", `# ${EPHEMERAL}`, false],
  ["the kernel script's heading", "New handshake session:", false],
])("parseKeyLog() of %s", ([, text, taken, problem]) => {
  const log = parseKeyLog(text);
  expect(log.ephemerals.map((e) => toBase64(e.privateKey))).toEqual(taken ? [A] : []);
  const said = log.problems.map((p) => p.why).join("\n");
  if (problem) expect(said).toMatch(problem);
  else expect(said).toBe("");
});

describe("pre-shared keys", () => {
  const psk = (k: string): string => `PRESHARED_KEY = ${k}`;
  test("belong to the ephemeral before, newest first; one a line", () => {
    const log = parseKeyLog([EPHEMERAL, psk(B), EPHEMERAL, psk(C)].join("\n"));
    expect(log.ephemerals.map((e) => e.presharedKeys.map(toBase64))).toEqual([[B], [C]]);
  });
  test("before any ephemeral, or a second in a row, belong to none", () => {
    const log = parseKeyLog([psk(B), EPHEMERAL, psk(B), psk(C)].join("\n"));
    expect(log.ephemerals[0]!.presharedKeys.map(toBase64)).toEqual([B]);
    expect(log.loosePresharedKeys.map(toBase64)).toEqual([B, C]);
    expect(log.problems.length).toBe(2);
  });
});

describe("contrib/extract-handshakes", () => {
  const k = (n: number): string => toBase64(new Uint8Array(32).fill(n));
  const [remote, local, ephemeral, psk] = ["REMOTE_STATIC_PUBLIC_KEY", "LOCAL_STATIC_PRIVATE_KEY", "LOCAL_EPHEMERAL_PRIVATE_KEY", "PRESHARED_KEY"];
  const group = (order: readonly string[], n: number): string =>
    ["New handshake session:", ...order.map((name, i) => `  ${name} = ${k(10 * n + i)}`)].join("\n");
  // As bash 5.2 writes its associative array, and as older ones did.
  test.for([
    ["bash 5", [remote!, psk!, ephemeral!, local!], 3],
    ["older", [local!, remote!, ephemeral!, psk!], 0],
  ] as const)("%s: each pre-shared key belongs to the ephemeral under its own heading", ([, order, problems]) => {
    const text = [1, 2, 3].map((n) => group(order, n)).join("\n");
    const parsed = parseKeyLog(text);
    const at = (name: string, n: number): string => k(10 * n + order.indexOf(name));
    expect(parsed.ephemerals.map((e) => [toBase64(e.privateKey), e.presharedKeys.map(toBase64)])).toEqual(
      [1, 2, 3].map((n) => [at(ephemeral!, n), [at(psk!, n)]]),
    );
    expect([parsed.loosePresharedKeys.length, parsed.problems.length]).toEqual([0, problems]);
    if (problems > 0) expect(parsed.problems[0]).toMatchObject({ line: 3, ours: "taken" });
  });
});

test("a pre-shared key in the block after its ephemeral's is new with it", () => {
  const reader = new KeyLogReader();
  expect(reader.more(EPHEMERAL).ephemerals.map((e) => e.presharedKeys.length)).toEqual([0]);
  expect(reader.more(`PRESHARED_KEY = ${B}`).ephemerals.map((e) => [toBase64(e.privateKey), ...e.presharedKeys.map(toBase64)])).toEqual([[A, B]]);
  expect(reader.more("FOO = 1\n").problems.map((p) => p.line)).toEqual([3]);
  expect(reader.more("BAR = 1\n").problems.map((p) => p.line)).toEqual([4]);
});

test("the limit is for different keys: what a log repeats with every handshake costs nothing", () => {
  const key = (n: number): string => toBase64(Uint8Array.from({ length: 32 }, (_, i) => (i < 3 ? n >> (8 * i) : 7)));
  const handshakes = Array.from(
    { length: 20_000 },
    (_, n) => `LOCAL_STATIC_PRIVATE_KEY = ${A}\nLOCAL_EPHEMERAL_PRIVATE_KEY = ${key(n)}\nPRESHARED_KEY = ${B}\n`,
  );
  const log = parseKeyLog(handshakes.join(""));
  expect([log.staticPrivate.length, log.ephemerals.length, log.problems]).toEqual([1, 20_000, []]);
  const many = parseKeyLog(Array.from({ length: 70_000 }, (_, n) => `LOCAL_EPHEMERAL_PRIVATE_KEY = ${key(n)}`).join("\n"));
  expect([many.ephemerals.length, many.problems.map((p) => [p.line, p.ours])]).toEqual([65_536, [[65_537, "refused"]]]);
});

test("what Windows writes as a text file is read", () => {
  const text = `${EPHEMERAL}\r\nPRESHARED_KEY = ${B}\r\n`;
  const little = Buffer.from(`\ufeff${text}`, "utf16le");
  const big = Buffer.from(little).swap16();
  for (const bytes of [little, big, utf8(`\ufeff${text}`)]) {
    const log = parseKeyLog(keyLogText(bytes));
    expect(log.ephemerals.map((e) => [toBase64(e.privateKey), ...e.presharedKeys.map(toBase64)])).toEqual([[A, B]]);
    expect(log.problems.map((p) => [p.line, p.ours])).toEqual([[1, "taken"]]);
  }
});

test("session keys, bare keys and a wg configuration are read", () => {
  const log = parseKeyLog(`0x01718e58 ${A}\nWGX_SESSION_KEY = 0x3d46c786 ${B}\n${C}\n[Interface]\nListenPort = 51820\nPrivateKey = ${A}\n`);
  expect([...log.sessionKeys].map(([i, k]) => [i, k.map(toBase64)])).toEqual([
    [0x01718e58, [A]],
    [0x3d46c786, [B]],
  ]);
  expect(log.bare.map((b) => [b.line, toBase64(b.key)])).toEqual([[3, C]]);
  expect(log.staticPrivate.map(toBase64)).toEqual([A]);
});

test("no problem ever holds a key", () => {
  const log = parseKeyLog(`\tLOCAL_STATIC_PRIVATE_KEY = ${A} \nFOO = ${B}\nlocal_static_private_key = ${C}\n${A}x\n`);
  for (const p of log.problems) for (const k of [A, B, C]) expect(p.why).not.toContain(k.slice(0, 12));
});

test("what is written is read again, in Wireshark's order", () => {
  const key = (n: number): Uint8Array => new Uint8Array(32).fill(n);
  const text = handshakeRecord({ localStaticPrivate: key(1), remoteStaticPublic: key(2), localEphemeralPrivate: key(3), presharedKey: key(0) });
  expect(text.split("\n").map((l) => l.split(" = ")[0])).toEqual([
    "LOCAL_STATIC_PRIVATE_KEY",
    "REMOTE_STATIC_PUBLIC_KEY",
    "LOCAL_EPHEMERAL_PRIVATE_KEY",
    "PRESHARED_KEY",
    "",
  ]);
  const twice = `${EPHEMERAL}\nPRESHARED_KEY = ${B}\n${EPHEMERAL}\nPRESHARED_KEY = ${C}\n`;
  expect(parseKeyLog(formatKeyLog(parseKeyLog(text))).ephemerals).toEqual(parseKeyLog(text).ephemerals);
  expect(formatKeyLog(parseKeyLog(twice))).toBe(twice);
});
