import { describe, expect, test } from "vitest";
import { parseFieldSelector } from "./fieldselector.ts";
import { parseLabelSelector, SelectorError } from "./labelselector.ts";
import { NODE } from "./node.ts";
import { IP_POOL } from "./ippool.ts";
import { POD } from "./pod.ts";

describe("parseLabelSelector()", () => {
  const labels = { env: "prod", tier: "web", n: "5", "x.io/y": "", empty: "" };
  test.for<[string, boolean]>([
    ["", true],
    ["env=prod", true],
    ["env==prod,tier=web", true],
    ["env=dev", false],
    ["env!=dev", true],
    ["missing!=a", true],
    ["missing=a", false],
    ["env", true],
    ["missing", false],
    ["!missing", true],
    ["!env", false],
    [" env in ( prod , dev ) ", true],
    ["env notin (prod)", false],
    ["missing notin (a)", true],
    ["missing in (a)", false],
    ["n>4", true],
    ["n>5", false],
    ["n<6,n>4", true],
    ["env>1", false],
    ["x.io/y=", true],
    ["empty in ()", true],
    ["empty in (a,)", true],
    ["env=", false],
    ["constructor", false],
    ["!toString", true],
    ["valueOf notin (a),constructor!=a,hasOwnProperty!=b", true],
  ])("%j selects: %j", ([text, want]) => expect(parseLabelSelector(text)(labels)).toBe(want));
  test("without labels only absence matches", () => {
    expect(parseLabelSelector("a!=b,!c")(undefined)).toBe(true);
    expect(parseLabelSelector("a")(undefined)).toBe(false);
  });
  test.for(["x inn (a)", "x in a", "x in (a", "=a", ",", "a,", "a=b c", "!", "a>b", "-a=b", "a/b/c=d", "(", "a in (b) c"])("%j is refused", (text) =>
    expect(() => parseLabelSelector(text)).toThrow(SelectorError),
  );
  test("says what it expected, as kubectl's users know it", () =>
    expect(() => parseLabelSelector("x inn (a)")).toThrow("unable to parse requirement: found 'inn', expected: in, notin, =, ==, !=, gt, lt"));
});

describe("parseFieldSelector()", () => {
  const pod = {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "p,1", namespace: "default" },
    spec: { nodeName: "n1" },
    status: { phase: "Running" },
  };
  test.for<[string, boolean]>([
    ["", true],
    ["metadata.name=p\\,1", true],
    ["spec.nodeName=n1,status.phase!=Succeeded,status.phase!=Failed", true],
    ["spec.nodeName=n2", false],
    ["status.podIP=", true],
    ["spec.hostNetwork=false", true],
    ["metadata.namespace==default", true],
  ])("%j selects: %j", ([text, want]) => expect(parseFieldSelector(text, POD).matches(pod)).toBe(want));
  test.for(["spec.cidr=a", "metadata.labels=a"])("%j is no field to select by", (text) =>
    expect(() => parseFieldSelector(text, IP_POOL)).toThrow("field label not supported"),
  );
  test.for(["metadata.name", "=a", "metadata.name=a\\b", "metadata.name=a=b"])("%j is refused", (text) =>
    expect(() => parseFieldSelector(text, NODE)).toThrow(SelectorError),
  );
  test("names the one object that a list is about", () =>
    expect(parseFieldSelector("metadata.name=n1", NODE).terms).toEqual([{ field: "metadata.name", value: "n1", equal: true }]));
});
