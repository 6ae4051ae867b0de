import { describe, expect, test } from "vitest";
import { KINDS } from "../../api/kinds.ts";
import { type Any, call, freshWorlds } from "../world.cases.ts";

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
