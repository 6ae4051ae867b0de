// Recordings of real kubectls against a server that wrote down each request: which commands, which requests, which output. They are no part of the project:
// tests that need them are skipped, aloud, where they are missing.
import { existsSync, readFileSync } from "node:fs";
import { describe } from "vitest";
import type { Recorded } from "./recorder.ts";

const DIRECTORY: string = new URL("../../../shared/specs/apiserver-recordings/", import.meta.url).pathname;

export type Step = {
  readonly name: string;
  readonly args: readonly string[];
  readonly code: number;
  /** As lineOf() writes them. */
  readonly requests: readonly string[];
  readonly out: string;
  readonly err: string;
  readonly bodies: readonly string[];
};

/** The text of one recording, or undefined where there is none. */
export function recording(file: string): string | undefined {
  return existsSync(DIRECTORY + file) ? readFileSync(DIRECTORY + file, "utf8") : undefined;
}

/** describe() for tests that need these recordings. */
export function describeRecorded(file: string, title: string, body: (text: string) => void): void {
  const text = recording(file);
  if (text !== undefined) return void describe(title, () => body(text));
  describe.skip(`${title} [skipped: no recordings here: ../shared/specs/apiserver-recordings/${file}]`, () => {});
}

const TABLE = ["v1", "v1beta1"].map((v) => `application/json;as=Table;v=${v};g=meta.k8s.io`).join(",");
const DISCOVERY = ["v2", "v2beta1"].map((v) => `application/json;g=apidiscovery.k8s.io;v=${v};as=APIGroupDiscoveryList`).join(",");
/** The recordings' short words for what kubectl accepts. */
const SHORT: Readonly<Record<string, string>> = {
  TABLE: `${TABLE},application/json`,
  "PB+json": "application/vnd.kubernetes.protobuf,application/json",
  "AGGv2+v2beta1+json": `${DISCOVERY},application/json`,
};
const shortened = (accept: string): string => Object.entries(SHORT).find(([, long]) => long === accept)?.[0] ?? accept;

const UUID = /[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/g;
/** A value of the query without what differs from one run to the next. */
function masked(key: string, value: string): string {
  if (["hash", "continue", "timeoutSeconds"].includes(key) || (key === "resourceVersion" && value !== "0")) return "*";
  // The order of a selector's terms differs from run to run.
  return key === "fieldSelector" || key === "labelSelector" ? value.replaceAll(UUID, "UID").split(",").toSorted().join(",") : value;
}

/** One request in one line that is the same from run to run. */
export function lineOf(r: Recorded): string {
  const [path, query = ""] = r.target.split("?");
  const terms = [...new URLSearchParams(query)].map(([key, value]) => ({ key, text: `${key}=${masked(key, value)}` }));
  const sorted = terms.toSorted((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0)).map((t) => t.text);
  const target = `${r.method} ${path}${sorted.length > 0 ? `?${sorted.join("&")}` : ""}`;
  if (r.protocol !== undefined) return `${target} upgrade ${r.protocol}`;
  return `${target} -> ${r.code} accept: ${shortened(r.accept ?? "")}${r.contentType === undefined ? "" : `; content-type: ${r.contentType}`}`;
}

/** "accept: a/b; content-type: c/d" as pairs. */
const fieldsOf = (text: string): Record<string, string> =>
  Object.fromEntries(text.split("; ").map((p) => [p.slice(0, p.indexOf(": ")), p.slice(p.indexOf(": ") + 2)]));

function parseRequest(line: string): Recorded | undefined {
  const m = /^ {2}([A-Z]+) (\/\S*) -> (\d+|up) (.*)$/.exec(line);
  if (!m) return undefined;
  const fields = fieldsOf(m[4]!);
  const { accept, "content-type": contentType } = fields;
  const protocol = fields["sec-websocket-protocol"] ?? fields["x-stream-protocol-version"];
  return { method: m[1]!, target: m[2]!, accept, contentType, protocol, code: Number(m[3]) || 0 };
}

/** What is asked of discovery; the recordings leave it out, but for the first command. */
export const isDiscovery = (line: string): boolean => /^GET (\/api(\/v1)?|\/apis(\/[^/ ?]+\/[^/ ?]+)?)[ ?]/.test(line);
/** A document of OpenAPI, named by its content. */
export const isDocument = (line: string): boolean => /^GET \/openapi\/v3\/\S+[?&]hash=/.test(line);
/** Discovery's requests go out side by side. */
const inOrder = (lines: readonly string[]): string[] => [...lines.filter(isDiscovery).toSorted(), ...lines.filter((l) => !isDiscovery(l))];
export const linesOf = (requests: readonly Recorded[]): string[] => inOrder(requests.map(lineOf));

/** The commands of a recording, in order. */
export function stepsOf(text: string): Step[] {
  return text
    .split(/^### /m)
    .slice(1)
    .map((part) => {
      const lines = part.split("\n");
      const [, name, command, code] = /^(\S+): kubectl (.*) -> rc=(\d+)$/.exec(lines[0]!)!;
      const after = (mark: string): string =>
        lines
          .filter((l) => l.startsWith(`    ${mark} `))
          .map((l) => `${l.slice(6)}\n`)
          .join("");
      return {
        name: name!,
        // No word of the recorded commands has a space in it.
        args: command!.split(" "),
        code: Number(code),
        requests: linesOf(lines.map(parseRequest).filter((r) => r !== undefined)),
        out: after("|"),
        err: after("!"),
        bodies: lines.filter((l) => l.startsWith("      body: ")).map((l) => l.slice("      body: ".length).replace(/\\n$/, "")),
      };
    });
}

/** Output without ids and times. */
export const withoutIds = (text: string): string =>
  text
    .replaceAll(UUID, "UID")
    .replaceAll(/\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z| \+0000)/g, "TIME")
    .replaceAll(/(resourceVersion: )"\d+"/g, '$1"*"');
