// What a real API server of Kubernetes (k8s.io/apiserver 1.36 with Calico's CRDs) answered, asked of this one: the same requests in the same order, the answers
// compared field by field, with identities, times and versions masked. Each difference stands below with its reason; one that is gone must go from there too.
import { existsSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { type Any, call, freshWorlds, pool, POOLS } from "./world.cases.ts";

const directory = new URL("../../../shared/specs/apiserver-recordings/", import.meta.url);
const FILES = ["create", "read", "update-patch", "delete"];

type Recorded = {
  name: string;
  method: string;
  target: string;
  headers: Record<string, string>;
  body: string;
  code: number;
  answer: Any;
  type: string;
};

function recordings(file: string): Recorded[] {
  const blocks = readFileSync(new URL(`${file}.txt`, directory), "utf8")
    .split(/^>> /m)
    .slice(1);
  return blocks.map((block, i) => {
    const [first = "", status = "", ...rest] = block.split("\n");
    const m = /^(\S+) (\S+) +(?:CT=(\S+) BODY=(.*?))? *(?:ACCEPT=(.*))?$/.exec(first)!;
    const [, method = "", target = "", contentType, body = "", accept] = m;
    const empty = rest.indexOf("");
    const headers = Object.fromEntries(rest.slice(0, empty).map((l) => [l.slice(0, l.indexOf(":")), l.slice(l.indexOf(":") + 1).trim()]));
    const text = rest.slice(empty).join("\n").trim();
    return {
      name: `${file} ${i + 1}: ${method} ${decodeURIComponent(target.replace("/apis/projectcalico.org/v3", ""))}`,
      method,
      target,
      headers: { ...(contentType ? { "content-type": contentType } : {}), ...(accept ? { accept } : {}) },
      body,
      code: Number(status.split(" ")[1]),
      answer: text.startsWith("{") ? JSON.parse(text) : text,
      type: headers["content-type"] ?? "",
    };
  });
}

/** Versions that were recorded, and what they are here. */
const versions = new Map<string, string>();

const MASKED: Record<string, string> = { uid: "UID", creationTimestamp: "TIME", deletionTimestamp: "TIME", resourceVersion: "VERSION" };
function masked(value: Any, key = ""): Any {
  if (typeof value === "string") {
    if (MASKED[key] !== undefined) return MASKED[key];
    // An age of a few seconds; a name that was made up; an identity or version in a sentence.
    return value
      .replace(/^\d+s$/, "AGE")
      .replace(/^gen-.{5}$/, "gen-*****")
      .replaceAll(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g, "UID")
      .replace(/record \(\d+\)/, "record (VERSION)")
      .replace(/current: \d+/, "current: VERSION");
  }
  if (Array.isArray(value)) return value.map((v) => masked(v));
  if (typeof value !== "object" || value === null) return value;
  const out: Any = {};
  for (const [k, v] of Object.entries(value)) {
    // Who set what, which only server-side apply needs; the words that describe a column, which are ours; Kubernetes' own hash of a stored form.
    if (k === "managedFields" || k === "storageVersionHash" || (k === "description" && "priority" in value)) continue;
    if (k === "verbs" && Array.isArray(v)) out[k] = (v as string[]).toSorted();
    else if (k === "resources" && Array.isArray(v)) out[k] = Object.fromEntries(v.map((r: Any) => [r.name, masked(r)]));
    else out[k] = masked(v, k);
  }
  return out;
}

/** Paths at which the two differ. */
function differences(wanted: Any, got: Any, path = ""): string[] {
  if (typeof wanted !== "object" || typeof got !== "object" || wanted === null || got === null || Array.isArray(wanted) !== Array.isArray(got))
    return Object.is(wanted, got) ? [] : [path];
  return [...new Set([...Object.keys(wanted), ...Object.keys(got)])].flatMap((k) => differences(wanted[k], got[k], path === "" ? k : `${path}.${k}`));
}

/** Where this server answers otherwise, and why: docs/deviations.md has the same table for people. */
const DEVIATIONS: Record<string, string[]> = {
  // That some rules were not checked.
  "create 5: POST /ippools": ["message", "details.causes.2"],
  "create 7: POST /ippools": ["message", "details.causes.1"],
  // Of the field, with its value.
  "create 9: POST /ippools": ["message", "details.causes.0.message", "details.causes.0.field"],
  // Without apiVersion: taken, and refused for what it lacks.
  "create 10: POST /ippools": ["code 400 is 422", "message", "reason", "code", "details"],
  // The parser's own words.
  "create 11: POST /ippools": ["message"],
  "read 13: GET /ippools?continue=abc": ["message"],
  "update-patch 8: PATCH /ippools/r1": ["message"],
  // No protobuf; no server-side apply.
  "create 12: POST /ippools": ["message"],
  "read 6: GET /ippools/r1": ["message"],
  "update-patch 6: PATCH /ippools/r1": ["message"],
  // Which operation did not fit.
  "update-patch 7: PATCH /ippools/r1": ["details.causes"],
  // Twice the same.
  "delete 8: PATCH /ippools/s1": ["details.causes.1"],
  // Kinds that are not served; short names of our own.
  "read 16: GET ": ["globalnetworkpolicies", "networkpolicies", "tiers", "tiers/status", "felixconfigurations.shortNames"].map(
    (p) => `resources.${p}`,
  ),
  "read 18: GET /version": [
    "emulationMajor",
    "emulationMinor",
    "minCompatibilityMajor",
    "minCompatibilityMinor",
    "gitVersion",
    "gitCommit",
    "goVersion",
    "compiler",
  ],
};

const title = "what Kubernetes answered, this server answers";
if (!existsSync(directory)) test.skip(`${title} [skipped: the recordings are not here: ../shared/specs/apiserver-recordings beside the repository]`);
else {
  freshWorlds();
  test(title, async () => {
    const found: Record<string, string[]> = {};
    for (const file of FILES) {
      if (file === "delete") await before();
      for (const { name, method, target, headers, body, code, answer, type } of recordings(file)) {
        // Calico's policies are not among the kinds here.
        if (target.includes("/networkpolicies")) continue;
        const sent = body.replaceAll(/"resourceVersion":"(\d+)"/g, (_all, v: string) => `"resourceVersion":"${versions.get(v) ?? v}"`);
        const got = await call(method, target, { headers, ...(body === "" ? {} : { body: sent }) });
        if (typeof answer === "object" && answer.metadata?.resourceVersion)
          versions.set(answer.metadata.resourceVersion, got.body.metadata?.resourceVersion);
        const paths = [
          ...(got.code === code ? [] : [`code ${code} is ${got.code}`]),
          ...(got.headers["content-type"]?.startsWith(type) ? [] : [`content-type ${type} is ${got.headers["content-type"]}`]),
          ...differences(masked(answer), masked(typeof got.body === "string" ? got.body.trim() : got.body)),
        ];
        if (paths.length > 0) found[name] = paths.toSorted();
      }
    }
    expect(found).toEqual(Object.fromEntries(Object.entries(DEVIATIONS).map(([name, paths]) => [name, paths.toSorted()])));
  });
}

/** What was made by server-side apply before the deletions were recorded: a pool whose specification was changed twice. */
async function before(): Promise<void> {
  const headers = { "content-type": "application/merge-patch+json" };
  await call("POST", POOLS, { body: pool("s1", { spec: { cidr: "10.20.0.0/16", blockSize: 26 } }) });
  for (const disabled of [true, null]) await call("PATCH", `${POOLS}/s1`, { headers, body: { spec: { disabled } } });
}
