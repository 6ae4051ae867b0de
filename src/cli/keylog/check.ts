// `tortie keylog --kernel --check`: each precondition with what was seen, what is missing with what to do, and what works instead.
import { TortieError } from "../../base/errors.ts";
import { checkProbes, type Finding } from "../../sys/probecheck.ts";
import { printable } from "../captures/printable.ts";
import { wantsJson } from "../captures/file.ts";

/** It cannot be done here. */
const IMPOSSIBLE = 2;
/** What works instead. */
export const ALTERNATIVE =
  "Tortie's own device gives its keys on any kernel: run this end of the tunnel with `tortie device`, then `tortie capture --keys` or `tortie keylog`.";

const MARKS = { true: "ok", false: "missing", undefined: "unknown" } as const;
const lineOf = (f: Finding): string =>
  `${f.what.padEnd(10)} ${MARKS[`${f.ok}`].padEnd(8)} ${printable(f.seen)}${f.remedy === "" ? "" : `\n${" ".repeat(20)}${f.remedy}`}`;

export function check(format: string | undefined): number {
  const findings = checkProbes();
  const possible = findings.every((f) => f.ok !== false);
  const end = possible
    ? "The keys of this kernel's WireGuard can be logged."
    : `The keys of this kernel's WireGuard cannot be logged here.\n${ALTERNATIVE}`;
  const text = wantsJson(format)
    ? JSON.stringify({ possible, findings, ...(possible ? {} : { alternative: ALTERNATIVE }) }, undefined, 2)
    : `${findings.map(lineOf).join("\n")}\n\n${end}`;
  process.stdout.write(`${text}\n`);
  return possible ? 0 : IMPOSSIBLE;
}

/** Throws TortieError with the first thing that is missing. */
export function requireProbes(): void {
  const missing = checkProbes().filter((f) => f.ok === false);
  const [first] = missing;
  if (!first) return;
  const more = missing.length === 1 ? "" : ` (and ${missing.length - 1} more: tortie keylog --kernel --check)`;
  throw new TortieError(`Cannot take the kernel's keys: ${first.what}: ${first.seen}${more}`, {
    hint: `${first.remedy}\n${ALTERNATIVE}`.trim(),
  });
}
