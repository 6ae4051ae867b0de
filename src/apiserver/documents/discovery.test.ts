import { describe, expect, test } from "vitest";
import { customResourceDefinition, isCustom } from "../../api/crd.ts";
import { KINDS } from "../../api/kinds.ts";
import { OBJECT_META, type Schema } from "../../api/schema.ts";
import { REVIEWS } from "../identity/reviews.ts";
import { type Any, call, freshWorlds, send } from "../world.cases.ts";

freshWorlds();

describe("discovery", () => {
  const V2 = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
  const V2BETA1 = V2.replace("v=v2", "v=v2beta1");
  test.for<[string, string, string]>([
    [`${V2},${V2BETA1},application/json`, V2, "apidiscovery.k8s.io/v2"],
    [`${V2BETA1},application/json`, V2BETA1, "apidiscovery.k8s.io/v2beta1"],
    ["application/json, */*", "application/json", "v1"],
  ])("Accept %s", async ([accept, contentType, apiVersion]) => {
    const { headers, body } = await call("GET", "/apis", { headers: { accept } });
    expect([headers["content-type"], body.apiVersion]).toEqual([contentType, apiVersion]);
  });
  test("namespaces end one by one, by their own door", async () => {
    const { resources } = (await call("GET", "/api/v1")).body;
    const verbs = (name: string): string[] => resources.find((r: Any) => r.name === name).verbs;
    expect([verbs("namespaces").includes("deletecollection"), verbs("nodes").includes("deletecollection"), verbs("namespaces/finalize")]).toEqual([
      false,
      true,
      ["update"],
    ]);
  });
  test("an unchanged document is not sent again", async () => {
    const { headers } = await call("GET", "/apis");
    expect((await call("GET", "/apis", { headers: { "if-none-match": headers.etag! } })).code).toBe(304);
  });
  test("every kind is in discovery and in OpenAPI, with the write parameters that kubectl looks for", async () => {
    const index = (await call("GET", "/openapi/v3")).body.paths as Record<string, { serverRelativeURL: string }>;
    for (const kind of KINDS) {
      const base = kind.group === "" ? `api/${kind.version}` : `apis/${kind.group}/${kind.version}`;
      const resources = (await call("GET", `/${base}`)).body.resources as { name: string; namespaced: boolean }[];
      expect(resources.find((r) => r.name === kind.plural)).toMatchObject({ namespaced: kind.namespaced });
      const document = (await call("GET", index[base]!.serverRelativeURL)).body;
      const path = Object.entries(document.paths as Record<string, Any>).find(([p]) => p.endsWith(`/${kind.plural}/{name}`))![1];
      expect(path.patch["x-kubernetes-group-version-kind"]).toEqual({ group: kind.group, version: kind.version, kind: kind.kind });
      expect(path.patch.parameters.map((p: Any) => p.name)).toEqual(["dryRun", "fieldManager", "fieldValidation", "force"]);
    }
    const old = await call("GET", "/openapi/v3/api/v1?hash=OLD");
    expect([old.code, old.headers.location]).toEqual([301, index["api/v1"]!.serverRelativeURL]);
    expect((await call("GET", "/openapi/v2")).code).toBe(404);
  });
});

test("reviews are in both: only created, with what is asked and what is answered", async () => {
  for (const review of REVIEWS) {
    const base = `apis/${review.group}/${review.version}`;
    const { resources } = (await call("GET", `/${base}`)).body;
    expect(resources.find((r: Any) => r.name === review.plural)).toEqual({
      name: review.plural,
      singularName: review.singular,
      namespaced: false,
      kind: review.kind,
      verbs: ["create"],
    });
    const { paths, components } = (await call("GET", `/openapi/v3/${base}`)).body;
    const operations = Object.entries<Any>(paths).filter(([path]) => path.startsWith(`/${base}/${review.plural}`));
    expect(operations.map(([path, { parameters: _p, ...rest }]) => [path, Object.keys(rest)])).toEqual([[`/${base}/${review.plural}`, ["post"]]]);
    const name = `io.k8s.api.${review.group.split(".")[0]}.v1.${review.kind}`;
    expect(operations[0]![1].post.requestBody.content["application/json"].schema.$ref).toBe(`#/components/schemas/${name}`);
    expect(Object.keys(components.schemas[name].properties)).toContain("status");
    expect(components.schemas[`${name}List`]).toBeUndefined();
  }
});

describe("OpenAPI", () => {
  const index = async (): Promise<Record<string, { serverRelativeURL: string }>> => (await call("GET", "/openapi/v3")).body.paths;
  test("every reference leads somewhere, every list says how it is merged", async () => {
    for (const { serverRelativeURL } of Object.values(await index())) {
      const { body } = await call("GET", serverRelativeURL);
      const missing: string[] = [];
      const walk = (value: Any, at: string): void => {
        if (typeof value !== "object" || value === null) return;
        if (typeof value.$ref === "string" && !Object.hasOwn(body.components.schemas, value.$ref.split("/").at(-1)!))
          missing.push(`${at}: ${value.$ref}`);
        if (
          value.type === "array" &&
          at.includes(".properties.") &&
          !at.endsWith("List.properties.items") &&
          value["x-kubernetes-list-type"] === undefined
        )
          missing.push(at);
        if (value["x-kubernetes-list-type"] === "map" && !value["x-kubernetes-list-map-keys"]) missing.push(`${at}: no keys`);
        for (const [key, member] of Object.entries(value)) walk(member, `${at}.${key}`);
      };
      walk(body, "");
      expect([serverRelativeURL, missing]).toEqual([serverRelativeURL, []]);
    }
  });
  test("metadata is one for all kinds, as the schema that writes are checked by says; definitions leave it to Kubernetes", async () => {
    const META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";
    const bare = (schema: Schema): unknown => [schema.type, schema.format, schema.nullable, Object.keys(schema.properties ?? {}), schema.required];
    for (const { serverRelativeURL } of Object.values(await index())) {
      const { schemas } = (await call("GET", serverRelativeURL)).body.components as { schemas: Record<string, Any> };
      const published: Record<string, Schema> = schemas[META].properties;
      expect(Object.entries(published).map(([name, s]) => [name, bare(s), s.items && bare(s.items)])).toEqual(
        Object.entries(OBJECT_META.properties!).map(([name, s]) => [name, bare(s), s.items && bare(s.items)]),
      );
      for (const [name, schema] of Object.entries(schemas))
        if (schema["x-kubernetes-group-version-kind"] && !name.endsWith("List"))
          expect([name, schema.properties.metadata.allOf]).toEqual([name, [{ $ref: `#/components/schemas/${META}` }]]);
    }
    for (const kind of KINDS.filter(isCustom))
      expect(customResourceDefinition(kind).spec.versions[0]!.schema.openAPIV3Schema.properties!.metadata).toEqual({ type: "object" });
  });
  test("a document that the asker has is not sent again; one that is named by its hash may be kept", async () => {
    for (const path of ["/openapi/v3", (await index())["api/v1"]!.serverRelativeURL]) {
      const { headers } = await call("GET", path);
      expect(headers.etag).toMatch(/^"[0-9A-F]{128}"$/);
      expect((await call("GET", path, { headers: { "if-none-match": `"x", ${headers.etag}` } })).code).toBe(304);
    }
    expect((await call("GET", (await index())["api/v1"]!.serverRelativeURL)).headers["cache-control"]).toContain("immutable");
  });
});

describe("definitions", () => {
  const CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
  test("of the kinds that are not Kubernetes' own, to be read and not written", async () => {
    const { body } = await call("GET", CRDS);
    expect(body.items.map((d: Any) => d.spec.names.kind).toSorted()).toEqual(
      KINDS.filter((k) => !k.builtIn)
        .map((k) => k.kind)
        .toSorted(),
    );
    const one = (await call("GET", `${CRDS}/ippools.projectcalico.org`)).body;
    expect(one.spec).toMatchObject({ group: "projectcalico.org", scope: "Cluster", names: { plural: "ippools", listKind: "IPPoolList" } });
    const [version] = one.spec.versions;
    expect(version.schema.openAPIV3Schema.properties.metadata).toEqual({ type: "object" });
    expect(version.additionalPrinterColumns[0]).toMatchObject({ name: "CIDR", jsonPath: ".spec.cidr" });
    expect(version.additionalPrinterColumns.at(-1)).toMatchObject({ name: "Age", type: "date", jsonPath: ".metadata.creationTimestamp" });
    expect((await call("GET", `${CRDS}/x`)).code).toBe(404);
    for (const method of ["POST", "DELETE"]) expect((await call(method, CRDS, { body: {} })).code).toBe(405);
    expect((await call("PATCH", `${CRDS}/ippools.projectcalico.org`, { body: {} })).code).toBe(405);
  });
  test("discovery says what can be done, and that is what can be done: pages, selections, watches", async () => {
    const { resources } = (await call("GET", "/apis/apiextensions.k8s.io/v1")).body;
    expect(resources[0].verbs).toEqual(["get", "list", "watch"]);
    const whole = (await call("GET", CRDS)).body;
    const first = (await call("GET", `${CRDS}?limit=2`)).body;
    expect([first.items.length, first.metadata.remainingItemCount]).toEqual([2, whole.items.length - 2]);
    const rest = (await call("GET", `${CRDS}?limit=500&continue=${first.metadata.continue}`)).body;
    expect([...first.items, ...rest.items]).toEqual(whole.items);
    expect((await call("GET", `${CRDS}?fieldSelector=metadata.name%3Dippools.projectcalico.org`)).body.items).toHaveLength(1);
    const watched = async (query: string): Promise<Any[]> => {
      const { body } = await send("GET", `${CRDS}?watch=true${query}`);
      const lines: Any[] = [];
      const write = (line: Uint8Array): unknown => lines.push(JSON.parse(Buffer.from(line).toString()));
      (body as (sink: object) => () => void)({ write, waiting: 0, drain: () => {}, end: () => {} })();
      return lines;
    };
    expect(await watched("")).toEqual(whole.items.map((object: Any) => ({ type: "ADDED", object })));
    expect(await watched(`&resourceVersion=${whole.metadata.resourceVersion}`)).toEqual([]);
  });
  test("nothing in them that Kubernetes does not take", async () => {
    const text = JSON.stringify((await call("GET", CRDS)).body);
    expect(text).not.toContain("x-kubernetes-patch-");
  });
});
