import { expect, test } from "vitest";
import { errorWords } from "./errors.ts";
import { general, PingStatistics, travel } from "./statistics.ts";

test.for<[number, string]>([
  [0.0379, "0.037"],
  [0.999, "0.999"],
  [1.239, "1.23"],
  [9.999, "9.99"],
  [12.39, "12.3"],
  [99.99, "99.9"],
  [123.9, "123"],
])("%f ms of travel are said as %s", ([ms, text]) => expect(travel(ms)).toBe(text));

test("loss is said with six digits", () => expect([100 / 3, 50, 0, 100, 0.1].map(general)).toEqual(["33.3333", "50", "0", "100", "0.1"]));

function pinged(replies: readonly (readonly [number, number, number])[]): PingStatistics {
  const s = new PingStatistics();
  for (const [sequence, at] of replies) s.sent(sequence, at);
  for (const [sequence, at, ms] of replies) if (ms >= 0) s.reply(sequence, at + ms);
  return s;
}

test("summary() has iputils' two lines", () => {
  const s = pinged([
    [1, 10, 1],
    [2, 1010, 3],
    [3, 2010, -1],
  ]);
  expect(s.summary("host", true, false)).toBe(
    "\n--- host ping statistics ---\n3 packets transmitted, 2 received, 33.3333% packet loss, time 2000ms\nrtt min/avg/max/mdev = 1.000/2.000/3.000/1.000 ms, pipe 3\n",
  );
});
test("summary() without replies, with errors", () => {
  const s = pinged([[1, 10, -1]]);
  s.error();
  expect(s.summary("host", true, false)).toBe(
    "\n--- host ping statistics ---\n1 packets transmitted, 0 received, +1 errors, 100% packet loss, time 0ms\n\n",
  );
});
test("a reply that comes twice is a duplicate, one to nothing sent is none; numbers of sequence come round", () => {
  const s = new PingStatistics();
  s.sent(7, 1);
  expect([s.reply(7, 2), s.reply(7, 3), s.reply(8, 3)]).toEqual([{ ms: 1, duplicate: false }, { ms: 2, duplicate: true }, undefined]);
  s.sent(7, 10);
  expect(s.reply(7, 11)).toEqual({ ms: 1, duplicate: false });
  expect([s.received, s.duplicates]).toEqual([2, 1]);
});
test("errors have words, unknown ones too", () => {
  expect([errorWords(4, 3, 1), errorWords(4, 3, 99), errorWords(6, 1, 0), errorWords(6, 1, 99), errorWords(4, 11, 0)]).toEqual([
    "Destination Host Unreachable",
    "Dest Unreachable, Bad Code: 99",
    "Destination unreachable: No route",
    "Destination unreachable: Unknown code 99",
    "Time to live exceeded",
  ]);
});
