// The attack suite: everybody tries everything, on a server that runs, over TLS. What comes of it is docs/permissions.md, which people read and this test
// compares (`npx vitest run --project system test/apiserver/permissions.test.ts -u` writes it anew). Beside the table: whoever is not known, or not any more, gets
// 401 everywhere, and 403 is what the table of roles refuses.
import { afterAll, beforeAll, expect, test } from "vitest";
import { KINDS } from "../../src/api/kinds.ts";
import { CUSTOM_RESOURCE_DEFINITION } from "../../src/api/crd.ts";
import { apiVersionOf, type Kind } from "../../src/api/kind.ts";
import { STREAM_PROTOCOL } from "../../src/api/nodestream.ts";
import { allowing } from "../../src/apiserver/identity/authorize.ts";
import { certificateRequest } from "../../src/apiserver/identity/pkcs10.ts";
import { newKeyPair } from "../../src/apiserver/identity/certificate.ts";
import { REVIEWS } from "../../src/apiserver/identity/reviews.ts";
import { AUTHENTICATED, BOOTSTRAPPERS, NODES, VIEWERS } from "../../src/apiserver/identity/roles.ts";
import { hashOf, newToken } from "../../src/apiserver/identity/token.ts";
import type { User, Verb } from "../../src/apiserver/wire/request.ts";
import { pathOf } from "../../src/client/path.ts";
import { authorityOf, Guest, sign, upgrading } from "./identities.ts";
import { ask, ServerHome } from "./process.ts";

const TOKEN = newToken();
/** Columns of the table. `user`: whom the table of roles sees; undefined: nobody. */
const ACTORS: readonly { name: string; title: string; user?: User; who: (data: string) => ConstructorParameters<typeof Guest>[1] }[] = [
  {
    name: "admin",
    title: "an administrator",
    user: { name: "a", groups: ["system:masters", AUTHENTICATED] },
    who: (d) => sign(d, "a", ["system:masters"]),
  },
  { name: "viewer", title: "a viewer", user: { name: "v", groups: [VIEWERS, AUTHENTICATED] }, who: (d) => sign(d, "v", [VIEWERS]) },
  {
    name: "owner",
    title: "the node itself",
    user: { name: "system:node:n1", groups: [NODES, AUTHENTICATED] },
    who: (d) => sign(d, "system:node:n1", [NODES]),
  },
  {
    name: "other",
    title: "another node",
    user: { name: "system:node:n2", groups: [NODES, AUTHENTICATED] },
    who: (d) => sign(d, "system:node:n2", [NODES]),
  },
  {
    name: "joining",
    title: "a token to join",
    user: { name: `system:bootstrap:${TOKEN.id}`, groups: [BOOTSTRAPPERS, AUTHENTICATED] },
    who: (d) => ({ ca: authorityOf(d), token: TOKEN.bearer }),
  },
  { name: "stranger", title: "no role", user: { name: "s", groups: [AUTHENTICATED] }, who: (d) => sign(d, "s", []) },
  { name: "anonymous", title: "nobody", who: (d) => ({ ca: authorityOf(d) }) },
  { name: "expired", title: "an expired administrator", who: (d) => sign(d, "a", ["system:masters"], { from: -100, until: -1 }) },
  { name: "revoked", title: "a revoked administrator", who: (d) => sign(d, "r", ["system:masters"]) },
  { name: "forged", title: "a token that is not known", who: (d) => ({ ca: authorityOf(d), token: `${TOKEN.id}.${"0".repeat(26)}` }) },
];

/** What belongs to node n1, of each kind; the metadata is completed. */
const NODE_LEASES = "kube-node-lease";
const SAMPLES: Readonly<Record<string, object>> = {
  namespaces: {},
  nodes: { metadata: { name: "n1" } },
  pods: { spec: { nodeName: "n1", containers: [{ name: "c", image: "i" }] } },
  events: { involvedObject: { kind: "Pod", name: "attack", namespace: "default" }, reason: "R", source: { component: "tortie", host: "n1" } },
  "events.k8s.io/events": {
    regarding: { kind: "Pod", name: "attack", namespace: "default" },
    eventTime: "2026-11-23T12:00:00.000000Z",
    reportingController: "tortie",
    reportingInstance: "n1",
    action: "A",
    type: "Normal",
    reason: "R",
    metadata: { name: "attack-too" },
  },
  leases: { metadata: { name: "n1", namespace: NODE_LEASES }, spec: { holderIdentity: "n1", leaseDurationSeconds: 40 } },
  certificatesigningrequests: {
    spec: {
      request: Buffer.from(certificateRequest({ commonName: "system:node:n9", organizations: [NODES] }, newKeyPair())).toString("base64"),
      signerName: "kubernetes.io/kube-apiserver-client-kubelet",
      usages: ["digital signature", "client auth"],
    },
  },
  ippools: { spec: { cidr: "10.9.0.0/16" } },
  ipamblocks: {
    metadata: { name: "10-9-0-0-31" },
    spec: {
      cidr: "10.9.0.0/31",
      affinity: "host:n1",
      strictAffinity: false,
      deleted: false,
      allocations: [null, null],
      unallocated: [0, 1],
      attributes: [],
    },
  },
  blockaffinities: { metadata: { name: "n1-10-9-0-0-31" }, spec: { state: "confirmed", node: "n1", cidr: "10.9.0.0/31", deleted: false } },
  ipamhandles: { metadata: { name: "wireguard-tunnel-addr-n1" }, spec: { handleID: "wireguard-tunnel-addr-n1", block: {} } },
  ipamconfigurations: { metadata: { name: "default" }, spec: { strictAffinity: false, autoAllocateBlocks: true } },
  clusterinformations: { metadata: { name: "default" } },
  caliconodestatuses: { spec: { node: "n1", classes: ["Agent"], updatePeriodSeconds: 10 } },
  nodeencryptions: { metadata: { name: "n1" } },
  accesstokens: { metadata: { name: "aaaaaa" }, spec: { role: "node", user: "n1", hash: hashOf("x"), expires: "2099-01-01T00:00:00Z" } },
  revocations: { spec: { user: "nobody-at-all" } },
  capturegrants: {
    spec: { users: ["eve"], nodes: ["*"], actions: ["capture"], expires: new Date(Date.now() + 3_600_000).toISOString(), reason: "an attack" },
  },
};

type Sample = { kind: string; apiVersion: string; metadata: { name: string; namespace?: string; annotations?: object } };
function sampleOf(kind: Kind): Sample {
  const given = (SAMPLES[`${kind.group}/${kind.plural}`] ?? SAMPLES[kind.plural] ?? {}) as Partial<Sample>;
  const metadata = { name: "attack", ...(kind.namespaced ? { namespace: "default" } : {}), ...given.metadata };
  return { ...given, apiVersion: apiVersionOf(kind), kind: kind.kind, metadata };
}

let home: ServerHome;
const guests = new Map<string, Guest>();
beforeAll(async () => {
  home = new ServerHome();
  const server = await home.start(0, ["--request-rate", "100000"]);
  const admin = (path: string, body: object): Promise<unknown> => ask(home.socket, path, { method: "POST", body: JSON.stringify(body) });
  await admin("/apis/tortie.io/v1/accesstokens", {
    metadata: { name: TOKEN.id },
    spec: { role: "node", user: "n9", hash: hashOf(TOKEN.bearer), expires: "2099-01-01T00:00:00Z" },
  });
  await admin("/apis/tortie.io/v1/revocations", { metadata: { name: "r" }, spec: { user: "r" } });
  for (const { name, who } of ACTORS) guests.set(name, new Guest(server.url, who(home.data)));
});
afterAll(async () => {
  for (const guest of guests.values()) guest.close();
  await home.remove();
});

/** One row: what is asked, and for each actor the code of each verb. */
type Row = { group: string; resource: string; codes: Map<string, Map<string, number>> };
const rows: Row[] = [];
function record(group: string, resource: string, actor: string, verb: string, code: number): void {
  let row = rows.find((r) => r.group === group && r.resource === resource);
  if (!row) rows.push((row = { group, resource, codes: new Map() }));
  const codes = row.codes.get(actor) ?? new Map<string, number>();
  row.codes.set(actor, codes.set(verb, code));
}

async function everybody(group: string, resource: string, verb: Verb, attempt: (guest: Guest) => Promise<number>): Promise<void> {
  const [plural, subresource = ""] = resource.split("/") as [string, string?];
  for (const { name, user } of ACTORS) {
    const code = await attempt(guests.get(name)!);
    record(group, resource, name, verb, code);
    const told = `${name} ${verb} ${resource}`;
    if (!user) expect([told, code]).toEqual([told, 401]);
    else if (!allowing(user, { verb, group, resource: plural, subresource })) expect([told, code]).toEqual([told, 403]);
    else expect([told, code]).not.toEqual([told, 401]);
    if (name === "viewer" && code < 300) expect([told, ["get", "list", "watch"].includes(verb) || group.startsWith("auth")]).toEqual([told, true]);
  }
}

const MERGE = "application/merge-patch+json";
const send =
  (method: string, path: string, body?: unknown, type?: string) =>
  async (guest: Guest): Promise<number> =>
    (await guest.ask(path, { method, ...(body === undefined ? {} : { body }), ...(type ? { type } : {}) })).code;
const open =
  (path: string, headers?: Record<string, string>) =>
  async (guest: Guest): Promise<number> => {
    const opened = await guest.open(path, headers);
    opened.stop();
    await opened.ended;
    return opened.code;
  };

const DRY = "?dryRun=All";
test.for(KINDS.map((kind) => [kind.plural, kind] as const))("%s", async ([plural, kind]) => {
  const sample = sampleOf(kind);
  const { name, namespace } = sample.metadata;
  const collection = pathOf(kind, { namespace });
  const one = pathOf(kind, { namespace, name });
  const parts = [...(kind.hasStatus ? ["status"] : []), ...(kind.lifecycle ? ["finalize"] : []), ...(kind.subresources ?? [])];
  await everybody(kind.group, plural, "create", send("POST", collection + DRY, sample));
  const made = await ask(home.socket, collection, { method: "POST", body: JSON.stringify(sample) });
  expect([201, 409], made.body).toContain(made.code);
  const now = JSON.parse((await ask(home.socket, one)).body) as Sample;
  const changed = { ...now, metadata: { ...now.metadata, annotations: { attack: "x" } } };
  const patch = { metadata: { annotations: { attack: "x" } } };
  await everybody(kind.group, plural, "get", send("GET", one));
  await everybody(kind.group, plural, "list", send("GET", collection));
  await everybody(kind.group, plural, "watch", open(`${collection}?watch=true&timeoutSeconds=5`));
  await everybody(kind.group, plural, "update", send("PUT", one + DRY, changed));
  await everybody(kind.group, plural, "patch", send("PATCH", one + DRY, patch, MERGE));
  await everybody(kind.group, plural, "delete", send("DELETE", one + DRY));
  await everybody(kind.group, plural, "deletecollection", send("DELETE", collection + DRY));
  for (const part of parts) {
    await everybody(kind.group, `${plural}/${part}`, "get", send("GET", `${one}/${part}`));
    await everybody(kind.group, `${plural}/${part}`, "update", send("PUT", `${one}/${part}${DRY}`, changed));
    await everybody(kind.group, `${plural}/${part}`, "patch", send("PATCH", `${one}/${part}${DRY}`, patch, MERGE));
    await everybody(kind.group, `${plural}/${part}`, "create", send("POST", `${one}/${part}${DRY}`, changed));
    await everybody(kind.group, `${plural}/${part}`, "delete", send("DELETE", `${one}/${part}${DRY}`));
  }
  // Nothing of all that was done.
  expect(JSON.parse((await ask(home.socket, one)).body)).toEqual(now);
});

test("definitions", async () => {
  const { group, plural } = CUSTOM_RESOURCE_DEFINITION;
  const collection = pathOf(CUSTOM_RESOURCE_DEFINITION);
  await everybody(group, plural, "list", send("GET", collection));
  await everybody(group, plural, "watch", open(`${collection}?watch=true&timeoutSeconds=5`));
  await everybody(group, plural, "get", send("GET", `${collection}/ippools.projectcalico.org`));
  await everybody(group, plural, "create", send("POST", collection + DRY, {}));
  await everybody(group, plural, "delete", send("DELETE", `${collection}/ippools.projectcalico.org${DRY}`));
});

test("reviews", async () => {
  const specs: Readonly<Record<string, object>> = {
    selfsubjectaccessreviews: { nonResourceAttributes: { path: "/", verb: "get" } },
    subjectaccessreviews: { user: "x", nonResourceAttributes: { path: "/", verb: "get" } },
    tokenreviews: { token: "x" },
  };
  for (const review of REVIEWS)
    await everybody(review.group, review.plural, "create", send("POST", pathOf(review), { spec: specs[review.plural] ?? {} }));
});

test("logs", () => everybody("", "pods/log", "get", send("GET", "/api/v1/namespaces/default/pods/attack/log")));

test("streams", async () => {
  const exec = upgrading("v5.channel.k8s.io");
  const pod = "/api/v1/namespaces/default/pods/attack";
  for (const { name, user } of ACTORS) {
    const guest = guests.get(name)!;
    const tried: [string, string, string, number][] = [
      ["", "pods/exec", "connect", await open(`${pod}/exec?command=id&stdout=true`, exec)(guest)],
      ["", "pods/attach", "connect", await open(`${pod}/attach?stdout=true`, exec)(guest)],
      ["", "pods/portforward", "connect", await open(`${pod}/portforward`, exec)(guest)],
      ["tortie.io", "nodes/capture", "connect", await open("/apis/tortie.io/v1/nodes/n1/capture?interface=any", exec)(guest)],
      ["tortie.io", "nodes/keylog", "connect", await open("/apis/tortie.io/v1/nodes/n1/keylog?seconds=1", exec)(guest)],
      ["tortie.io", "nodes/audit", "connect", await open("/apis/tortie.io/v1/nodes/n1/audit?seconds=1", exec)(guest)],
      ["tortie.io", "nodes/probe", "connect", await open("/apis/tortie.io/v1/nodes/n1/probe?address=::1&count=1", exec)(guest)],
      ["tortie.io", "nodes/stream", "connect", await open("/apis/tortie.io/v1/nodes/n1/stream", upgrading(STREAM_PROTOCOL))(guest)],
    ];
    for (const [group, resource, verb, code] of tried) {
      record(group, resource, name, verb, code);
      if (!user) expect([name, resource, code]).toEqual([name, resource, 401]);
      else if (name !== "admin" && !(name === "owner" && resource === "nodes/stream"))
        expect([name, resource, code >= 400]).toEqual([name, resource, true]);
    }
  }
});

test("paths", async () => {
  for (const path of ["/healthz", "/version", "/api", "/apis", "/apis/projectcalico.org/v3", "/openapi/v3", "/metrics", "/debug", "/"])
    for (const { name } of ACTORS) record("paths", path, name, "get", await send("GET", path)(guests.get(name)!));
});

test("acting as somebody else: nobody may", async () => {
  for (const headers of [{ "impersonate-user": "a" }, { "impersonate-group": "system:masters", "impersonate-user": "a" }] as Record<string, string>[])
    for (const { name, user } of ACTORS)
      expect([name, (await guests.get(name)!.ask("/api/v1/nodes", { headers })).code]).toEqual([name, user ? 403 : expect.any(Number)]);
});

test("nothing that discovery names is missing", async () => {
  type Found = { groupVersion: string; resources: { name: string }[] };
  const json = async <T>(path: string): Promise<T> => JSON.parse((await ask(home.socket, path)).body) as T;
  const { groups } = await json<{ groups: { versions: { groupVersion: string }[] }[] }>("/apis");
  const documents = ["/api/v1", ...groups.flatMap((g) => g.versions.map((v) => `/apis/${v.groupVersion}`))];
  const served: string[] = [];
  for (const path of documents) {
    const { groupVersion, resources } = await json<Found>(path);
    const group = groupVersion.includes("/") ? groupVersion.split("/")[0] : "";
    served.push(...resources.map((r) => `${group}/${r.name}`));
  }
  const tried = new Set(rows.map((r) => `${r.group}/${r.resource}`));
  expect(served.filter((name) => !tried.has(name))).toEqual([]);
  expect(served.length).toBeGreaterThan(KINDS.length);
});

test("the table is what people read", async () => {
  const cell = (row: Row, actor: string): string => {
    const codes = [...(row.codes.get(actor) ?? [])];
    const yes = codes.filter(([, code]) => code < 300 || code === 101).map(([verb]) => verb);
    const odd = codes.filter(([, code]) => code >= 300 && code !== 401 && code !== 403).map(([verb, code]) => `${verb}: ${code}`);
    return [...(yes.length > 0 ? [yes.join(" ")] : []), ...odd].join(", ") || (codes.every(([, code]) => code === 401) ? "401" : "–");
  };
  const line = (cells: string[]): string => `| ${cells.join(" | ")} |\n`;
  const groups = [...new Set(rows.map((r) => r.group))];
  const tables = groups.map(
    (group) =>
      `\n## ${group === "" ? "core" : group}\n\n${line(["", ...ACTORS.map((a) => a.title)])}${line(["---", ...ACTORS.map(() => "---")])}${rows
        .filter((r) => r.group === group)
        .map((row) => line([`\`${row.resource}\``, ...ACTORS.map((a) => cell(row, a.name))]))
        .join("")}`,
  );
  const text = `# Who may do what

Written by test/apiserver/permissions.test.ts from what a running server answers over TLS, and compared with it at every run. Verbs that are named
succeed; – is 403 for all others, 401 is 401 for all; another code stands with its verb (405: the verb is not served, 404: the part is not there, 503: allowed,
but no agent is connected). The objects belong to node n1: "the node itself" is its agent, "another node" that of n2.
${tables.join("")}`;
  await expect(text).toMatchFileSnapshot("../../docs/permissions.md");
});
