// Answers of a genuine API server of Kubernetes with Calico's own definitions, request by request, beside ours: code and body, without ids and times.
// The recordings are no part of the project: without them this is skipped, aloud. Where ours differs on purpose, DIFFERENCES says how and why.
import { existsSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { type Any, call, freshWorlds, MERGE, pool, POOLS } from "./world.cases.ts";

const DIRECTORY = new URL("../../../shared/specs/apiserver-recordings/", import.meta.url).pathname;

/** `>> METHOD TARGET [CT=TYPE] [BODY=…] [ACCEPT=…]`, then the answer as curl shows it. */
type Step = {
  method: string;
  target: string;
  contentType: string | undefined;
  accept: string | undefined;
  body: string | undefined;
  code: number;
  answer: Any;
};

function stepsOf(text: string): Step[] {
  return text
    .split(/^>> /m)
    .slice(1)
    .map((part) => {
      const [first, ...rest] = part.split("\n");
      const [, method, target, more] = /^(\S+) (\S+) *(.*?) *$/.exec(first!)!;
      const answer = rest.join("\n");
      const body = answer.slice(answer.indexOf("\n\n")).trim();
      return {
        method: method!,
        target: target!,
        contentType: /CT=(\S+)/.exec(more!)?.[1],
        accept: /ACCEPT=(\S+)/.exec(more!)?.[1],
        body: /BODY=(.*)$/.exec(more!)?.[1],
        code: Number(/^HTTP\/2 (\d+)/.exec(answer)![1]),
        answer: body.startsWith("{") ? JSON.parse(body) : `${body}\n`,
      };
    });
}

/** Without what differs from one run to the next, who wrote which field (only server-side apply tells that), and what describes columns. */
function masked(value: Any): Any {
  if (Array.isArray(value)) return value.map(masked);
  if (typeof value === "string")
    return value
      .replaceAll(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, "UID")
      .replaceAll(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ/g, "TIME")
      .replaceAll(/(in record \(|current: )\d+/g, "$1N")
      .replace(/^\d+s$/, "AGE")
      .replace(/^gen-[a-z0-9]{5}$/, "gen-XXXXX");
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).filter(([key]) => key !== "managedFields" && key !== "description");
  return Object.fromEntries(entries.map(([key, v]) => [key, key === "resourceVersion" ? "N" : masked(v)]));
}

type Answered = { readonly code: number; readonly answer: Any };
type Difference = {
  readonly of: string;
  readonly why: string;
  /** What we answer instead. */ readonly instead: (recorded: Any) => Partial<Answered>;
};
/** The same answer in other words. */
const saying =
  (recorded: string, ours: string): Difference["instead"] =>
  (answer) => ({ answer: JSON.parse(JSON.stringify(answer).replaceAll(JSON.stringify(recorded).slice(1, -1), JSON.stringify(ours).slice(1, -1))) });

const NIL =
  "Invalid value: null: some validation rules were not checked because the object was invalid; correct the existing errors to complete validation";
/** Without the cause that is none. */
const withoutNil: Difference["instead"] = (answer) => {
  const causes = answer.details.causes.filter((c: Any) => c.message !== NIL);
  const message = answer.message.replace(`, <nil>: ${NIL}`, "");
  return { answer: { ...answer, message: causes.length > 1 ? message : message.replace(/\[(.*)\]$/, "$1"), details: { ...answer.details, causes } } };
};
const CREATE = "POST /apis/projectcalico.org/v3/ippools application/json  ";
const R1 = "PATCH /apis/projectcalico.org/v3/ippools/r1 ";
const NO_PAGE: Answered = { code: 404, answer: "404 page not found\n" };
const GO = "the words are of another parser";
const PROTOBUF = "protobuf is taken for core kinds only, and not answered";

/** By the beginning of a step. */
const DIFFERENCES: readonly Difference[] = [
  { of: `${CREATE}{"apiVersion":"projectcalico.org/v3","kind":"IPPool","metadata":{"name":"r3"}`, why: "all rules are checked", instead: withoutNil },
  { of: `${CREATE}{"apiVersion":"projectcalico.org/v3","kind":"IPPool","metadata":{}`, why: "all rules are checked", instead: withoutNil },
  {
    of: `${CREATE}{"apiVersion":"projectcalico.org/v3","kind":"IPPool","metadata":{"name":"r4"}`,
    why: "the field is named, and what stands there",
    instead: (answer) => ({
      answer: {
        ...answer,
        message: answer.message.replace("spec: Invalid value: ", 'spec.cidr: Invalid value: "10.2.0.1/16": '),
        details: {
          ...answer.details,
          causes: [{ reason: "FieldValueInvalid", message: 'Invalid value: "10.2.0.1/16": IPPool CIDR must be strictly masked', field: "spec.cidr" }],
        },
      },
    }),
  },
  {
    of: `${CREATE}{"kind":"IPPool"`,
    why: "what the path says need not be said again",
    instead: (answer) => ({
      code: 422,
      answer: {
        ...answer,
        code: 422,
        reason: "Invalid",
        message: 'IPPool.projectcalico.org "p3" is invalid: spec.cidr: Required value',
        details: {
          name: "p3",
          group: "projectcalico.org",
          kind: "IPPool",
          causes: [{ reason: "FieldValueRequired", message: "Required value", field: "spec.cidr" }],
        },
      },
    }),
  },
  {
    of: `${CREATE}{bad`,
    why: GO,
    instead: saying("invalid character 'b' looking for beginning of object key string ({bad)", "Expected property name or '}' in JSON at position 1"),
  },
  {
    of: `${R1}application/json-patch+json  {bad`,
    why: GO,
    instead: saying("invalid character 'b' looking for beginning of object key string", "Expected property name or '}' in JSON at position 1"),
  },
  {
    of: "GET /apis/projectcalico.org/v3/ippools?continue=abc",
    why: GO,
    instead: saying("invalid character 'i' looking for beginning of value", "encoded start key is malformed"),
  },
  { of: "POST /apis/projectcalico.org/v3/ippools text/plain", why: PROTOBUF, instead: saying(", application/vnd.kubernetes.protobuf", "") },
  { of: "GET /apis/projectcalico.org/v3/ippools/r1  text/html", why: PROTOBUF, instead: saying(", application/vnd.kubernetes.protobuf", "") },
  { of: "POST /apis/projectcalico.org/v3/namespaces/", why: "network policies are not served", instead: () => NO_PAGE },
  {
    of: "GET /apis/projectcalico.org/v3 ",
    why: "ours has other kinds: discovery.test.ts",
    instead: () => ({ answer: expect.objectContaining({ kind: "APIResourceList", groupVersion: "projectcalico.org/v3" }) as unknown }),
  },
  {
    of: "GET /version",
    why: "another version",
    instead: () => ({ answer: expect.objectContaining({ major: "1", minor: "36", gitVersion: "v1.36.0+t" }) as unknown }),
  },
  { of: `${R1}application/strategic-merge-patch+json`, why: "there is no server-side apply", instead: saying(", application/apply-patch+yaml", "") },
  {
    of: `${R1}application/json-patch+json  [`,
    why: "it is said which operation failed",
    instead: (answer) => ({
      answer: { ...answer, details: { causes: [{ field: "patch", message: "operation 0: testing value /spec/cidr failed" }] } },
    }),
  },
  {
    of: 'PATCH /apis/projectcalico.org/v3/ippools/s1 application/merge-patch+json  {"metadata":{"finalizers":["a.b/c"',
    why: "once is enough",
    instead: (answer) => ({ answer: { ...answer, details: { ...answer.details, causes: answer.details.causes.slice(0, 1) } } }),
  },
];

const FILES = ["create.txt", "read.txt", "update-patch.txt", "delete.txt"];
const title = "the recorded answers of a genuine API server";
const here = existsSync(DIRECTORY);
(here ? describe : describe.skip)(here ? title : `${title} [skipped: no recordings here]`, () => {
  freshWorlds();
  test("are ours, with the differences that are known", async () => {
    const used = new Set<Difference>();
    for (const file of FILES) {
      // The recordings began with this one, of an earlier recording.
      if (file === "delete.txt") {
        await call("POST", POOLS, { body: pool("s1", { spec: { cidr: "10.20.0.0/16", blockSize: 26 } }) });
        for (const disabled of [true, null]) await call("PATCH", `${POOLS}/s1`, { headers: MERGE, body: { spec: { disabled } } });
      }
      for (const step of stepsOf(readFileSync(DIRECTORY + file, "utf8"))) {
        const name = `${step.method} ${step.target} ${step.contentType ?? ""} ${step.accept ?? ""} ${step.body ?? ""}`;
        // Versions of the recording's store are ours.
        const current = (await call("GET", `${POOLS}/r1`)).body?.metadata?.resourceVersion;
        const body = step.body?.replace(/"resourceVersion":"100\d{3}"/, `"resourceVersion":"${current}"`);
        const headers = { ...(step.contentType ? { "content-type": step.contentType } : {}), ...(step.accept ? { accept: step.accept } : {}) };
        const got = await call(step.method, step.target, { headers, ...(body === undefined ? {} : { body }) });
        const known = DIFFERENCES.find((d) => name.startsWith(d.of));
        if (known) used.add(known);
        const recorded = { code: step.code, answer: masked(step.answer) };
        expect({ code: got.code, answer: masked(got.body) }, `${file}: ${name}`).toEqual({ ...recorded, ...known?.instead(recorded.answer) });
      }
    }
    expect(DIFFERENCES.filter((d) => !used.has(d))).toEqual([]);
  });
});
