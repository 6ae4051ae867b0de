import { expect, test } from "vitest";
import { Progress } from "./progress.ts";

function run(total: number | undefined, terminal: boolean): string[] {
  const written: string[] = [];
  let now = 0;
  const progress = new Progress("Reading x.pcap", total, { isTTY: terminal, columns: 80, write: (t: string) => written.push(t) }, () => now);
  for (const [ms, done] of [
    [1000, 1e8],
    [2000, 2e8],
    [2100, 2.1e8],
    [4000, 4e8],
  ] as const) {
    now = ms;
    progress.at(done);
  }
  progress.end();
  progress.at(5e8);
  return written;
}

test("nothing for 2 s, then how far it is, how fast, how long still; wiped at the end", () => {
  expect(run(1e9, true)).toEqual([
    "\rReading x.pcap: 20 % of 1.0 GB, 100 MB/s, 8 s left\x1b[K",
    "\rReading x.pcap: 40 % of 1.0 GB, 100 MB/s, 6 s left\x1b[K",
    "\r\x1b[K",
  ]);
});
test("of a pipe, what has come", () => expect(run(undefined, true)[0]).toBe("\rReading x.pcap: 200 MB, 100 MB/s\x1b[K"));
test("nothing where there is no terminal", () => expect(run(1e9, false)).toEqual([]));
