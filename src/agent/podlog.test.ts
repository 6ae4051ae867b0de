import { appendFileSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import type { PodLog } from "../api/podlog.ts";
import { podLogOf } from "../api/podlog.ts";
import { logSession, readLog } from "./podlog.ts";

const NOW = Date.parse("2026-11-23T12:00:10Z");
const entry = (second: number, text: string, { tag = "F", stream = "stdout" } = {}): string =>
  `2026-11-23T12:00:0${second}.5Z ${stream} ${tag} ${text}\n`;
const LOG = [
  entry(1, "one"),
  entry(2, "two", { stream: "stderr" }),
  entry(3, "thr", { tag: "P" }),
  entry(4, "ee"),
  entry(5, "f o u r"),
  entry(6, ""),
].join("");

function logFile(text?: string): string {
  const directory = mkdtempSync(join(tmpdir(), "tortie-podlog-"));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const path = join(directory, "p.log");
  if (text !== undefined) writeFileSync(path, text);
  return path;
}
async function read(path: string, asked: PodLog): Promise<string> {
  let text = "";
  for await (const piece of readLog(path, asked, NOW, new AbortController().signal)) text += piece.toString();
  return text;
}

describe("readLog()", () => {
  test.for<[PodLog, string]>([
    [{}, "one\ntwo\nthree\nf o u r\n\n"],
    [{ timestamps: true, tailLines: 3 }, "2026-11-23T12:00:03.5Z three\n2026-11-23T12:00:05.5Z f o u r\n2026-11-23T12:00:06.5Z \n"],
    [{ tailLines: 2 }, "f o u r\n\n"],
    [{ tailLines: 0 }, ""],
    [{ tailLines: 100 }, "one\ntwo\nthree\nf o u r\n\n"],
    [{ sinceSeconds: 6 }, "ee\nf o u r\n\n"],
    [{ sinceTime: "2026-11-23T13:00:05.5+01:00" }, "f o u r\n\n"],
    [{ limitBytes: 6 }, "one\ntw"],
    [{ tailLines: 2, limitBytes: 3 }, "f o"],
  ])("%j", async ([asked, text]) => expect(await read(logFile(LOG), asked)).toBe(text));

  test("nothing was written yet", async () => expect(await read(logFile(), {})).toBe(""));
  test("what is not in the format is left out, and an entry that is being written is waited for", async () =>
    expect(await read(logFile(`garbage\n${entry(1, "one")}\n2026-11-23T12:00:02Z stdout F tw`), {})).toBe("one\n"));
  test("bytes are not touched", async () => {
    const path = logFile();
    writeFileSync(path, Buffer.concat([Buffer.from("2026-11-23T12:00:02Z stdout F "), Buffer.of(0xff, 0, 0xfe), Buffer.from("\n")]));
    const pieces: Buffer[] = [];
    for await (const piece of readLog(path, {}, NOW, new AbortController().signal)) pieces.push(piece);
    expect(Buffer.concat(pieces)).toEqual(Buffer.of(0xff, 0, 0xfe, 0x0a));
  });
  test("a long log: the last lines only, and the first bytes only", async () => {
    const path = logFile(Array.from({ length: 50_000 }, (_, i) => entry(1, `line ${i}`)).join(""));
    expect(await read(path, { tailLines: 2 })).toBe("line 49998\nline 49999\n");
    expect((await read(path, { limitBytes: 100_000 })).length).toBe(100_000);
    expect((await read(path, {})).split("\n").length).toBe(50_001);
  });

  test("following: what comes later, also when the log is put aside, until it is enough", async () => {
    const path = logFile();
    const over = new AbortController();
    const pieces = readLog(path, { follow: true }, NOW, over.signal);
    const next = async (): Promise<string> => ((await pieces.next()).value as Buffer).toString();
    // Before it is there.
    const first = next();
    writeFileSync(path, entry(1, "one") + entry(2, "two"));
    expect(await first).toBe("one\ntwo\n");
    appendFileSync(path, entry(3, "thr", { tag: "P" }));
    expect(await next()).toBe("thr");
    appendFileSync(path, entry(3, "ee"));
    expect(await next()).toBe("ee\n");
    appendFileSync(path, entry(4, "last of the old"));
    renameSync(path, `${path}.1`);
    writeFileSync(path, entry(5, "first of the new"));
    let rest = await next();
    if (!rest.includes("new")) rest += await next();
    expect(rest).toBe("last of the old\nfirst of the new\n");
    const end = pieces.next();
    over.abort();
    expect((await end).done).toBe(true);
  });
});

test("a session: the log is its output, and it ends when it is killed", async () => {
  const session = logSession(logFile(LOG), { follow: true, tailLines: 1 });
  const first = new Promise((resolve) => session.stdout.once("data", (d: Buffer) => resolve(d.toString())));
  expect(await first).toBe("\n");
  session.kill();
  expect(await session.exit).toBe(0);
  const unreadable = logSession("/dev/null/no", {});
  unreadable.stdout.resume();
  await expect(unreadable.exit).rejects.toThrow("ENOTDIR");
});

test.for<[Record<string, unknown>, unknown]>([
  [{}, {}],
  [{ follow: false, timestamps: "yes" }, {}],
  [
    { follow: true, tailLines: 0, sinceTime: "2026-11-23T12:00:00Z", other: 1 },
    { follow: true, tailLines: 0, sinceTime: "2026-11-23T12:00:00Z" },
  ],
  [{ tailLines: -1 }, "tailLines: Invalid value: -1: must be a whole number, at least 0"],
  [{ tailLines: NaN }, "tailLines: Invalid value: null: must be a whole number, at least 0"],
  [{ limitBytes: 0 }, "limitBytes: Invalid value: 0: must be a whole number, at least 1"],
  [{ sinceSeconds: 1.5 }, "sinceSeconds: Invalid value: 1.5: must be a whole number, at least 1"],
  [{ sinceTime: "soon" }, 'sinceTime: Invalid value: "soon": must be a time, RFC 3339'],
  [{ sinceTime: {} }, "sinceTime: Invalid value: {}: must be a time, RFC 3339"],
  [
    { sinceTime: "2026-11-23T12:00:00Z", sinceSeconds: 1 },
    'sinceTime: Invalid value: "2026-11-23T12:00:00Z": at most one of sinceTime and sinceSeconds may be given',
  ],
])("podLogOf(%j)", ([value, wanted]) => {
  const got = podLogOf(value);
  expect(Array.isArray(got) ? got.map((e) => `${e.field}: ${e.message}`).join() : got).toEqual(wanted);
});
