// Fuzzers of the API, in process or over a socket: objects built from the OpenAPI documents that the server publishes, valid and with one fault; patches of
// thousands of operations; requests that are broken in every part. Whatever comes, the answer is a Status that says why, and nothing has changed.
import { isObject, type JsonObject, type JsonValue } from "../api/json.ts";
import type { Dice, Fuzzer } from "../base/random.cases.ts";
import { type Creatable, creatableOf, faulty, isClosed, type OpenApiDocument, placesOf, valid } from "./openapi.cases.ts";

export type FuzzAnswer = { readonly code: number; readonly headers: Readonly<Record<string, string | undefined>>; readonly body: string };
/** Sends one request as an administrator. A watch is answered with "" as soon as it stands. */
export type FuzzSend = (method: string, target: string, headers: Record<string, string>, body: string | Uint8Array) => Promise<FuzzAnswer>;

const JSON_TYPE = { "content-type": "application/json" };

function check(holds: boolean, what: string, told?: unknown): void {
  if (!holds) throw new Error(`${what}${told === undefined ? "" : `: ${JSON.stringify(told).slice(0, 600)}`}`);
}

/** What must hold of every answer: never the server's own error, and a refusal says what is wrong. */
function checkAnswer(answer: FuzzAnswer): JsonObject | undefined {
  check(answer.code < 500 || answer.code === 504, "the server failed", answer);
  for (const key in {}) check(false, `every object has "${key}" now`);
  if (answer.code < 400) return undefined;
  if (!(answer.headers["content-type"] ?? "").startsWith("application/json")) {
    check(answer.code === 404 && answer.body === "404 page not found\n", "a refusal that is no Status", answer);
    return undefined;
  }
  const status = JSON.parse(answer.body) as JsonObject;
  check(
    status.kind === "Status" &&
      status.status === "Failure" &&
      status.code === answer.code &&
      typeof status.message === "string" &&
      status.message !== "",
    "not a Status",
    status,
  );
  return status;
}

async function documentsOf(send: FuzzSend): Promise<OpenApiDocument[]> {
  const { paths } = JSON.parse((await send("GET", "/openapi/v3", {}, "")).body) as { paths: Record<string, { serverRelativeURL: string }> };
  return Promise.all(Object.values(paths).map(async (p) => JSON.parse((await send("GET", p.serverRelativeURL, {}, "")).body) as OpenApiDocument));
}

const revisionOf = async (send: FuzzSend): Promise<unknown> =>
  ((JSON.parse((await send("GET", "/api/v1/namespaces?limit=1", {}, "")).body) as JsonObject).metadata as JsonObject).resourceVersion;

/** Rules that no schema says. */
const RULES: Readonly<Record<string, (spec: JsonObject, object: JsonObject) => void>> = {
  IPPool(spec) {
    Object.assign(spec, { cidr: "10.0.0.0/16", blockSize: 26, ipipMode: "Never" });
  },
  IPAMBlock(spec) {
    Object.assign(spec, { cidr: "10.0.0.0/30", allocations: [null, null, null, null], unallocated: [0, 1, 2, 3], attributes: [] });
  },
  IPAMConfiguration: (_spec, object) => void ((object.metadata as JsonObject).name = "default"),
  FelixConfiguration: (spec) => void (delete spec.routeTableRange, delete spec.routeTableRanges),
  Event: (_spec, object) => void (object.involvedObject = { name: "x" }),
  Pod: (spec) => void (spec.containers = [{ name: "c" }]),
  ConfigMap: (_spec, object) => void ((object.binaryData = { b: "YQ==" }), (object.data = { a: "ü" })),
  Secret: (_spec, object) => void ((object.data = { a: "YQ==" }), delete object.type, delete object.stringData),
};

function objectOf({ kind, apiVersion, schema }: Creatable, dice: Dice): JsonObject {
  const object = valid(schema, dice) as JsonObject;
  object.metadata = {
    name: "fuzz",
    labels: { a: "b" },
    annotations: { "x.io/y": "z" },
    ownerReferences: [{ apiVersion: "v1", kind: "Node", name: "n", uid: "u" }],
    finalizers: ["x.io/y"],
  };
  object.apiVersion = apiVersion;
  object.kind = kind;
  RULES[kind]?.(isObject(object.spec) ? object.spec : {}, object);
  return object;
}

/** Nothing is checked there: who owns which field is the server's, and names are about the path; so is what a review is answered. */
const UNCHECKED = /^(apiVersion|kind|metadata\.(managedFields|selfLink)\b.*)$/;
const isUnchecked = (kind: string, path: string): boolean => UNCHECKED.test(path) || (kind.endsWith("Review") && /^status\b/.test(path));
const MARK = "zz-twice";

/** Objects of every kind, each with one fault; how it is answered is known beforehand. `tried` counts objects without a fault by kind. */
export const objects = (send: FuzzSend, tried: Map<string, number> = new Map()): Fuzzer => ({
  name: "objects from OpenAPI",
  start(dice) {
    let creatable: Creatable[] | undefined;
    return async () => {
      creatable ??= (await documentsOf(send)).flatMap(creatableOf);
      const of = dice.pick(creatable);
      const post = (body: string, how = ""): Promise<FuzzAnswer> => send("POST", `${of.path}?dryRun=All${how}`, JSON_TYPE, body);
      const object = objectOf(of, dice);
      const plain = await post(JSON.stringify(object), "&fieldValidation=Strict");
      checkAnswer(plain);
      // A rule that we do not know: then a fault would not be the only one.
      if (plain.code !== 201) return;
      tried.set(of.kind, (tried.get(of.kind) ?? 0) + 1);
      const places = placesOf(of.schema, object).filter((p) => !isUnchecked(of.kind, p.path));
      if (dice.chance(0.5)) {
        const place = dice.pick(places);
        const fault = faulty(place, dice);
        if (!fault) return;
        place.set(fault.value);
        const status = checkAnswer(await post(JSON.stringify(object)));
        const causes = (isObject(status?.details) ? status.details.causes : undefined) as { field: string }[] | undefined;
        check(
          status?.code === 422 && (causes ?? []).some((c) => c.field === place.path),
          `${of.kind} ${place.path} (${fault.why}) was not refused for it`,
          status ?? "taken",
        );
        return;
      }
      const twice = dice.chance(0.5);
      const open = places.filter((p) => isObject(p.value) && (twice || isClosed(p.schema)));
      if (open.length === 0) return;
      const place = dice.pick(open);
      (place.value as JsonObject)[twice ? MARK : "nope"] = { x: [1] };
      // The member that stands twice, as its text.
      const body = JSON.stringify(object).replace(`"${MARK}":{"x":[1]}`, () => (twice ? `"${MARK}":1,"${MARK}":2` : ""));
      const said = twice ? "duplicate field" : `unknown field`;
      const strict = checkAnswer(await post(body, "&fieldValidation=Strict"));
      check(
        strict?.code === 400 && JSON.stringify(strict.message).includes(said),
        `${said} at ${of.kind} ${place.path} is not refused`,
        strict ?? "taken",
      );
      if (twice) return;
      const warn = await post(body, "&fieldValidation=Warn");
      check(warn.code === 201 && (warn.headers.warning ?? "").includes(`${place.path}.nope`), `no warning of ${place.path}.nope`, warn);
      check(!warn.body.includes('"nope"'), "an unknown field was kept", warn.body);
      const ignore = await post(body, "&fieldValidation=Ignore");
      check(ignore.code === 201 && ignore.headers.warning === undefined, "Ignore does not ignore", ignore);
    };
  },
});

const FELIX = "/apis/projectcalico.org/v3/felixconfigurations/default";
const KEYS = [
  "spec",
  "metadata",
  "annotations",
  "labels",
  "__proto__",
  "constructor",
  "prototype",
  "toString",
  "-",
  "0",
  "1e9",
  "",
  "a~0b~1c",
  "wireguardMTU",
  "ü",
  "\u0000",
];

function operations(dice: Dice): JsonValue[] {
  const count = dice.chance(0.05) ? 9_990 + dice.below(20) : dice.below(12);
  const path = (): string => Array.from({ length: dice.below(5) }, () => `/${dice.pick(KEYS)}`).join("");
  const value = (): JsonValue => dice.pick<JsonValue>([null, 1, "x", [], {}, { a: [{ b: 1 }] }, true]);
  // Those that hold for the most part: a patch ends at the first that does not.
  const fitting = dice.chance(0.7);
  return Array.from({ length: count }, (_, i): JsonValue =>
    fitting
      ? {
          op: dice.pick(["add", "add", "copy", "test", "replace"]),
          from: "/metadata/annotations",
          path: "/metadata/annotations",
          value: { a: String(i) },
        }
      : { op: dice.pick(["add", "remove", "replace", "move", "copy", "test", "ADD", ""]), from: path(), path: path(), value: value() },
  );
}

const deep = (depth: number, leaf: string, open: string, close: string): string => open.repeat(depth) + leaf + close.repeat(depth);
const TYPES = [
  "application/merge-patch+json",
  "application/json-patch+json",
  "application/strategic-merge-patch+json",
  "application/apply-patch+yaml",
  "application/json",
];

/** Patches of two objects that are there: a setting, and a node. */
export const patches = (send: FuzzSend): Fuzzer => ({
  name: "patches",
  start(dice) {
    let made = false;
    return async () => {
      if (!made)
        await send(
          "POST",
          "/api/v1/nodes",
          JSON_TYPE,
          JSON.stringify({ metadata: { name: "fuzz", annotations: {} }, status: { conditions: [{ type: "Ready", status: "True" }] } }),
        );
      made = true;
      const target = dice.pick([FELIX, "/api/v1/nodes/fuzz", "/api/v1/nodes/fuzz/status"]);
      const merge = (): string =>
        dice.pick([
          JSON.stringify({ metadata: { annotations: { [dice.pick(KEYS)]: dice.pick(["x", null, 1]) } } }),
          JSON.stringify({ [dice.pick(KEYS)]: { [dice.pick(KEYS)]: dice.pick<JsonValue>([null, {}, [], "x"]) } }),
          JSON.stringify({
            status: {
              conditions: [{ type: "Ready", $patch: dice.pick(["delete", "merge", "replace", "x"]) }, { $patch: "replace" }, 1, null].slice(
                dice.below(3),
              ),
            },
          }),
          JSON.stringify({
            $patch: dice.pick(["delete", "replace", "x", 1]),
            $retainKeys: dice.pick<JsonValue>([["spec"], 1, [{}]]),
            "$setElementOrder/finalizers": dice.pick<JsonValue>([[1], "x", {}]),
            "$deleteFromPrimitiveList/x": dice.pick<JsonValue>([[1], 1]),
          }),
          `{"spec":{"__proto__":{"polluted":1}}}`,
          `{"spec":{"\\u005f_proto__":{"polluted":1}}}`,
          deep(dice.below(200), "1", '{"a":', "}"),
        ]);
      const type = dice.pick(TYPES);
      const body = type === TYPES[1] ? (dice.chance(0.9) ? JSON.stringify(operations(dice)) : deep(dice.below(300), "", "[", "]")) : merge();
      const before = await revisionOf(send);
      const answer = await send("PATCH", `${target}?fieldValidation=${dice.pick(["Strict", "Warn", "Ignore"])}`, { "content-type": type }, body);
      checkAnswer(answer);
      if (answer.code >= 400) check((await revisionOf(send)) === before, "a refused patch changed something", { type, body });
      else check((await send("GET", target.replace("/status", ""), {}, "")).code === 200, "what was patched cannot be read", { type, body });
    };
  },
});

const ACCEPTS = [
  "application/json",
  "application/yaml",
  "*/*",
  "",
  "application/json;as=Table;v=v1;g=meta.k8s.io",
  "image/png",
  ";;;=,,",
  "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io,x/y",
];
const METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE"];
const PARAMETERS = [
  "labelSelector",
  "fieldSelector",
  "limit",
  "continue",
  "resourceVersionMatch",
  "watch",
  "timeoutSeconds",
  "sendInitialEvents",
  "dryRun",
  "fieldValidation",
  "includeObject",
  "pretty",
  "propagationPolicy",
  "force",
  "allowWatchBookmarks",
];
const WORDS = [
  "",
  "1",
  "-1",
  "0",
  "true",
  "a=b",
  "a in (b,",
  "!x",
  "metadata.name=a",
  "x\\",
  "All",
  "Exact",
  "NotOlderThan",
  "eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MSwic3RhcnQiOiIifQ",
  "%00",
  "99999999999999999999",
  "\u{1f408}",
];

/** Requests whose every part may be broken: method, path, query, headers, body bytes. */
export const requests = (send: FuzzSend): Fuzzer => ({
  name: "requests",
  start(dice) {
    let known: { paths: string[]; creatable: Creatable[] } | undefined;
    return async () => {
      if (!known) {
        const documents = await documentsOf(send);
        known = { paths: documents.flatMap((d) => Object.keys(d.paths)), creatable: documents.flatMap(creatableOf) };
      }
      const name = (): string => dice.pick(["default", "fuzz", "x", "A_B", "%2e%2e", "%00", "%zz", "a%2Fb", "x".repeat(300), "%ff"]);
      let path = dice
        .pick(known.paths)
        .replace("{namespace}", () => (dice.chance(0.7) ? "default" : name()))
        .replace("{name}", name);
      if (dice.chance(0.1)) path += dice.pick(["/", "//", "/status", "/exec", "/log", "/x/y/z", "/..", "?", "%"]);
      const query = Array.from({ length: dice.below(4) }, () => `${dice.pick(PARAMETERS)}=${encodeURIComponent(dice.pick(WORDS))}`).join("&");
      const object = Buffer.from(JSON.stringify(objectOf(dice.pick(known.creatable), dice)));
      const body = dice.chance(0.3)
        ? Buffer.from(
            dice.pick(["", "{}", "null", "[]", "1", '"x"', "{", "a: [", "&a [*a]", "k8s\0", "k8s\0\x0a\x0b\x0a\x02v1\x12\x05Event\x12\x02\x0a\x00"]),
            "latin1",
          )
        : dice.mutated(object, [0x22, 0x7b, 0x7d, 0x5b, 0x5d, 0x2c, 0x3a, 0x5c, 0, 0xff, 0xc0]);
      const type = dice.pick([
        ...TYPES,
        "application/yaml",
        "application/vnd.kubernetes.protobuf",
        "",
        "text/plain",
        "application/json; charset=latin1",
      ]);
      const method = dice.pick(METHODS);
      const before = await revisionOf(send);
      const answer = await send(
        method,
        query === "" ? path : `${path}?${query}`,
        { "content-type": type, accept: dice.pick(ACCEPTS) },
        method === "GET" || method === "HEAD" ? "" : body,
      );
      if (method !== "HEAD") checkAnswer(answer);
      else check(answer.code < 500, "the server failed", answer);
      if (answer.code >= 400 || method === "GET" || method === "HEAD")
        check((await revisionOf(send)) === before, "what was refused or only read changed something", { method, path, query });
    };
  },
});
