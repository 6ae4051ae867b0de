// The report as one page that needs nothing else: no script, no request, readable in the dark, on paper and on a telephone. Everything that came from a
// capture or an inventory is escaped.
import { many } from "../../base/text.ts";
import type { AuditReport, ReportCause, ReportFlow } from "../../capture/audit/report.ts";
import { formatClock } from "../../capture/moment.ts";
import { canaryLines, flowLine, flowNotes, PAIR_HEAD, pairRow, percent, secondsOf } from "./text.ts";

/** UTC, with milliseconds. */
const time = (t: bigint | undefined): string =>
  t === undefined ? "an unknown time" : new Date(Number(t / 1_000_000n)).toISOString().replace("T", " ");

/** Flows of a cause that are listed; the JSON has all. */
const FLOWS = 200;

/** Markup that is safe: made by html`…` only. */
type Html = { readonly markup: string };
const ESCAPES: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };
/** Control characters have no place on a page, and some turn the text around. */
const CONTROL = /[\p{Cc}\p{Cf}]/gu;
const escape = (text: string): string => text.replace(CONTROL, "\ufffd").replace(/[&<>"']/g, (c) => ESCAPES[c]!);
type Value = string | number | Html | readonly Html[] | undefined;
const render = (v: Value): string => {
  if (v === undefined) return "";
  if (typeof v === "string" || typeof v === "number") return escape(String(v));
  return "markup" in v ? v.markup : v.map((x) => x.markup).join("");
};
const html = (parts: TemplateStringsArray, ...values: Value[]): Html => ({
  markup: parts.map((p, i) => p + (i < values.length ? render(values[i]) : "")).join(""),
});

const clock = (t: bigint | undefined): Html => html`<span class="whole">${t === undefined ? "not known" : formatClock(t)}</span>`;

const STYLE: Html = {
  markup: `
:root{color-scheme:light dark;--ink:#1b1b1f;--soft:#5c5c66;--paper:#fff;--card:#f5f5f7;--line:#d9d9e0;--good:#0a6b2e;--bad:#b3141d;--doubt:#8a5a00}
@media(prefers-color-scheme:dark){:root{--ink:#e8e8ee;--soft:#a4a4b0;--paper:#16161a;--card:#202026;--line:#3a3a44;--good:#5fd38a;--bad:#ff8088;--doubt:#f0b95a}}
*{box-sizing:border-box}body{margin:0 auto;padding:1.5rem 1rem 4rem;max-width:70rem;background:var(--paper);color:var(--ink);font:15px/1.5 system-ui,sans-serif}
h1{font-size:1.3rem;margin:0}h2{font-size:1.05rem;margin:2rem 0 .6rem}p{margin:.4rem 0}.soft{color:var(--soft)}
.verdict{border:1px solid var(--line);border-left:.5rem solid;border-radius:.4rem;background:var(--card);padding:.9rem 1.1rem;margin:1rem 0}
.verdict b{font-size:1.5rem;letter-spacing:.03em}.PASS{border-left-color:var(--good)}.PASS b,.ok{color:var(--good)}.FAIL{border-left-color:var(--bad)}.FAIL b,.missing,.high{color:var(--bad)}.INCONCLUSIVE{border-left-color:var(--doubt)}.INCONCLUSIVE b,.trusted,.medium{color:var(--doubt)}
.figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(11rem,1fr));gap:.6rem}.figures div{background:var(--card);border:1px solid var(--line);border-radius:.4rem;padding:.6rem .8rem}.figures strong{display:block;font-size:1.25rem;font-variant-numeric:tabular-nums}
.scroll{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:.9rem}th,td{text-align:left;vertical-align:top;padding:.35rem .7rem .35rem 0;border-bottom:1px solid var(--line)}th{color:var(--soft);font-weight:600;white-space:nowrap}td{overflow-wrap:anywhere}td.n{white-space:nowrap}td{font-variant-numeric:tabular-nums}article table{margin-top:.5rem}article tr:last-child td{border-bottom:0}a{color:inherit}.whole{white-space:nowrap}.wide{display:block;min-width:13rem}
article{border:1px solid var(--line);border-radius:.4rem;padding:.7rem 1rem;margin:.8rem 0}article h3{margin:0;font-size:1rem;font-family:ui-monospace,monospace}ul{margin:.4rem 0;padding-left:1.2rem}li{margin:.25rem 0;overflow-wrap:anywhere}code{font:.88em ui-monospace,monospace;background:var(--card);padding:.05rem .25rem;border-radius:.2rem;overflow-wrap:anywhere}
@media(max-width:40rem){.needs tr{display:grid;grid-template-columns:2.2rem 1fr;border-bottom:1px solid var(--line)}.needs td{border:0;padding-bottom:0}.needs td:nth-child(n+3){grid-column:2}.needs thead{display:none}}
@media print{body{max-width:none;padding:0;font-size:10pt}.verdict,.figures div,tr{break-inside:avoid}thead{display:table-header-group}h3{break-after:avoid}h2{break-after:avoid}.scroll{overflow:visible}}
`,
};

export function reportHtml(r: AuditReport): string {
  const e = r.encrypted;
  const page = html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width,initial-scale=1" />
        <meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'" />
        <title>Encryption audit of ${r.subject}: ${r.verdict}</title>
        <style>
          ${STYLE}
        </style>
      </head>
      <body>
        <h1>Encryption audit of ${r.subject}</h1>
        <p class="soft">
          ${time(r.first)} to ${time(r.last)}, ${secondsOf(r).toFixed(1)} s, ${many(r.frames, "frame")}; every one was walked through all its
          encapsulations
        </p>
        <div class="verdict ${r.verdict}">
          <b>${r.verdict}</b>
          <p>${r.why}</p>
        </div>
        <div class="figures">
          <div>
            <strong>${r.share ? percent(r.share.packets) : "–"}</strong>of pod packets encrypted<br /><span class="soft"
              >${e.packets} of ${e.packets + r.plain.packets}</span
            >
          </div>
          <div>
            <strong>${r.share ? percent(r.share.bytes) : "–"}</strong>of pod bytes encrypted<br /><span class="soft"
              >${e.bytes} of ${e.bytes + r.plain.bytes}</span
            >
          </div>
          <div>
            <strong>${e.packets === 0 ? "–" : percent(e.provenPackets / e.packets)}</strong>proven to be WireGuard<br /><span class="soft"
              >${e.provenPackets} messages; ${e.handshakes} handshake messages</span
            >
          </div>
          <div><strong>${r.exposed.flows}</strong>exposed flows<br /><span class="soft">in ${many(r.exposed.seconds, "second")}</span></div>
        </div>
        ${
          r.causes.length > 0
            ? html`<h2>Found in the clear</h2>
                ${r.causes.length > 1 ? causesHtml(r.causes) : undefined} ${r.causes.map(causeHtml)}`
            : undefined
        }
        ${r.more > 0 ? html`<p>And ${many(r.more, "packet")} of flows beyond those that are listed.</p>` : undefined}
        <h2>What a proof needs</h2>
        <div class="scroll">
          <table class="needs">
            <thead>
              ${cells(["", "state", "what must hold", "evidence"], "th")}
            </thead>
            <tbody>
              ${r.preconditions.map(
                (p) =>
                  html`<tr>
                    <td class="n">${p.id}</td>
                    <td class="n ${p.state}">${p.state}</td>
                    <td>${p.what}</td>
                    <td>${p.evidence}</td>
                  </tr>`,
              )}${r.doubts.map(
                (d) =>
                  html`<tr>
                    <td></td>
                    <td class="n missing">doubt</td>
                    <td colspan="2">${d}</td>
                  </tr>`,
              )}
            </tbody>
          </table>
        </div>
        <h2>Pairs of nodes</h2>
        ${tableHtml(
          PAIR_HEAD.map((h) => h.toLowerCase()),
          r.pairs.map((p) => cells(pairRow(p))),
        )}
        ${r.canary ? canaryHtml(r.canary) : undefined}
        ${
          r.allowed.length > 0
            ? html`<h2>Plain by policy</h2>
                <p>Between nodes themselves and pods, which is not claimed to be encrypted.</p>
                <ul>
                  ${r.allowed.slice(0, FLOWS).map((f) => html`<li>${f.cause}: ${flowLine(f)}</li>`)}
                </ul>`
            : undefined
        }
        <h2>Frames by class</h2>
        ${tableHtml(
          ["class", "frames"],
          r.classes.map(([name, n]) => cells([name, n])),
        )}
        ${
          r.ciphertext.length > 0
            ? html`<h2>Ciphertext</h2>
                ${tableHtml(
                  ["direction", "chi-square (255 ± 45)", "bytes looked at"],
                  r.ciphertext.map((c) => cells([c.way, c.chiSquare.toFixed(0), c.bytes])),
                )}`
            : undefined
        }
        ${
          r.remarks.length > 0
            ? html`<h2>Remarks</h2>
                <ul>
                  ${r.remarks.map((x) => html`<li>${x}</li>`)}
                </ul>`
            : undefined
        }
        <p class="soft">Made by tortie audit. docs/audit.md explains each line, and what an audit cannot see.</p>
      </body>
    </html> `;
  return page.markup.replace(/\n\s+/g, "\n");
}

const canaryHtml = (c: NonNullable<AuditReport["canary"]>): Html => {
  const lines = canaryLines(c).map((l) => l.trim());
  return html`<h2>Canary</h2>
    <p>${lines[0]}.</p>
    <ul>
      ${lines.slice(1).map((l) => html`<li>${l}</li>`)}
    </ul>
    ${tableHtml(
      ["inner link", "marked packets seen", "needed"],
      c.controls.map((x) => cells([x.what, x.seen, x.needed ? "yes" : "no"])),
    )}`;
};

const cells = (row: readonly Value[], tag: "td" | "th" = "td"): Html => ({
  markup: `<tr>${row.map((v) => `<${tag}${typeof v === "number" ? ' class="n"' : ""}>${render(v)}</${tag}>`).join("")}</tr>`,
});
const tableHtml = (head: readonly string[], rows: readonly Html[]): Html =>
  html`<div class="scroll">
    <table>
      <thead>
        ${cells(head, "th")}
      </thead>
      <tbody>
        ${rows}
      </tbody>
    </table>
  </div>`;

/** Of several causes, what each one amounts to. */
const causesHtml = (causes: readonly ReportCause[]): Html =>
  tableHtml(
    ["cause", "flows", "packets", "bytes", "first", "last"],
    causes.map((c) => cells([html`<a class="whole" href="#${c.cause}">${c.cause}</a>`, c.flows, c.packets, c.bytes, clock(c.first), clock(c.last)])),
  );

const causeHtml = (c: ReportCause): Html =>
  html`<article id="${c.cause}">
    <h3>${c.cause}</h3>
    <p>${many(c.packets, "packet")}, ${c.bytes} bytes, ${many(c.flows, "flow")}, ${time(c.first)} to ${time(c.last)}</p>
    <p><strong>What to do:</strong> ${c.remedy}</p>
    ${tableHtml(["severity", "nodes", "flow", "packets", "bytes", "first seen", "frames"], c.flowList.slice(0, FLOWS).map(flowRow))}
    ${c.flowList.length > FLOWS ? html`<p>and ${c.flowList.length - FLOWS} more flows</p>` : undefined}
  </article>`;

function flowRow(f: ReportFlow): Html {
  const notes = [...flowNotes(f), ...(f.class === "POD_TO_POD" ? [] : [f.class])];
  const source = f.frames[0]?.source;
  return cells([
    html`<span class="${f.severity}">${f.severity}</span>`,
    f.from !== undefined && f.to !== undefined ? `${f.from} → ${f.to}` : "not known",
    html`<span class="wide">${f.text}</span
      >${notes.length > 0 ? html`<span class="soft">${notes.join("; ")}</span>` : undefined}${f.sample === undefined ? undefined : html`<br /><code>${f.sample}</code>`}`,
    f.packets,
    f.bytes,
    clock(f.first),
    source === undefined ? "" : html`${f.frames.map((x) => x.frame).join(", ")}<br /><span class="soft">of ${source}</span>`,
  ]);
}
