// The audit tab: whether pods' packets were in the clear, and what a proof would need (section 7.10).
import { reportLines } from "../audit/text.ts";
import { bodyRows } from "./layout.ts";
import type { State } from "./state.ts";
import { type Line, span, type Style, widthOf, wrap } from "./text.ts";
import type { World } from "./world.ts";

const VERDICTS: readonly (readonly [begin: string, style: Style])[] = [
  ["Verdict: PASS", { color: "green", bold: true }],
  ["Verdict: FAIL", { color: "red", bold: true }],
  ["Verdict: INCONCLUSIVE", { color: "orange", bold: true }],
];

export function auditLines(state: State, world: World): Line[] {
  const { audit } = world;
  if (!audit) return [[span("  There is nothing to audit by: begin with --inventory FILE, or --cluster", { dim: true })]];
  const report = audit.report(world.facts, world.walking);
  if (!report) return [[span("  Looking through the capture …", { dim: true })]];
  const text = reportLines(report);
  // The verdict first: it stands at the end of what `tortie audit` prints.
  const at = text.findIndex((l) => l.startsWith("Verdict:"));
  const lines = [...text.slice(at), "", ...text.slice(0, at)].flatMap((l) => fitted(l, state.size.columns - 2));
  const rows = bodyRows(state);
  const top = Math.max(0, Math.min(state.audit, lines.length - rows));
  return lines.slice(top, top + rows).map((l) => [span(` ${l}`, VERDICTS.find(([begin]) => l.startsWith(begin))?.[1])]);
}

/** What is too wide goes on two columns farther in. */
function fitted(line: string, columns: number): string[] {
  if (widthOf(line) <= columns) return [line];
  const indent = line.length - line.trimStart().length;
  return wrap(line.trimStart(), columns - indent, 2).map((l) => " ".repeat(indent) + l);
}
