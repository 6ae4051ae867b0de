// calicoctl against the real server: messages, tables and exit codes of Calico's own conformance list (L01 to L26, as far as our kinds have them).
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { CLUSTER_INFORMATION } from "../../src/api/clusterinformation.ts";
import { NODE } from "../../src/api/node.ts";
import { ANNOTATION } from "../../src/api/node-annotations.ts";
import { type Ran, RealServer } from "../client/server.ts";

let server: RealServer;
beforeAll(async () => {
  server = new RealServer();
  await server.start();
});
afterAll(() => server.dispose());

const ctl = (line: string[] | string, options: { stdin?: string; env?: NodeJS.ProcessEnv } = {}): Promise<Ran> =>
  server.run("calicoctl", typeof line === "string" ? line.split(" ") : line, options);
const file = (name: string, text: string): string => {
  const path = join(server.directory, name);
  writeFileSync(path, text);
  return path;
};
const ok = (out: string): Ran => ({ code: 0, out, err: "" });
const pool = (name: string, cidr: string, extra = ""): string =>
  `apiVersion: projectcalico.org/v3\nkind: IPPool\nmetadata:\n  name: ${name}\nspec:\n  cidr: ${cidr}\n  blockSize: 26\n${extra}`;
const felix = (name: string, spec: string): string =>
  `apiVersion: projectcalico.org/v3\nkind: FelixConfiguration\nmetadata:\n  name: ${name}\nspec:\n  ${spec}\n`;
const versionOf = (yaml: string): string => /resourceVersion: "([0-9]+)"/.exec(yaml)![1]!;
const uidOf = (yaml: string): string => /uid: (\S+)/.exec(yaml)![1]!;

describe("pools", () => {
  test("L01 create, get, delete, delete again", async () => {
    const path = file("p1.yaml", pool("p1", "10.1.0.0/16"));
    expect(await ctl(["create", "-f", path])).toEqual(ok("Successfully created 1 'IPPool' resource(s)\n"));
    expect(await ctl("get ippool p1")).toEqual(ok("NAME   CIDR          SELECTOR   \np1     10.1.0.0/16   all()      \n\n"));
    const wide = await ctl("get ippool p1 -o wide");
    expect(wide.out.split("\n")[0]).toBe(
      "NAME   CIDR          NAT     IPIPMODE   VXLANMODE   DISABLED   DISABLEBGPEXPORT   SELECTOR   ASSIGNMENTMODE   ",
    );
    const again = await ctl(["create", "-f", path]);
    expect(again.err).toMatch(/^failed to create 'IPPool' resource: \[resource already exists: IPPool\(p1\) with error: .*\]\n$/);
    expect(again.code).toBe(1);
    expect(await ctl(["create", "--skip-exists", "-f", path])).toEqual(ok("Successfully created 1 'IPPool' resource(s)\n"));
    expect(await ctl("delete ippool p1")).toEqual(ok("Successfully deleted 1 'IPPool' resource(s)\n"));
    const gone = await ctl("delete ippool p1");
    expect([gone.code, gone.out]).toEqual([1, ""]);
    expect(gone.err).toMatch(/^Failed to delete 'IPPool' resource: resource does not exist: IPPool\(p1\) with error: /);
    expect(await ctl("delete ippool p1 --skip-not-exists")).toEqual(ok("Successfully deleted 1 'IPPool' resource(s)\n"));
  });

  test("L02 some of the names are missing", async () => {
    await ctl("create -f -", { stdin: `${pool("a", "10.2.0.0/16")}---\n${pool("b", "10.3.0.0/16")}` });
    const got = await ctl("get ippool a missing b");
    expect(got.code).toBe(1);
    expect(got.out).toContain("a      10.2.0.0/16");
    expect(got.out).toContain("b      10.3.0.0/16");
    expect(got.err).toMatch(/^resource does not exist: IPPool\(missing\) with error: .*\n$/);
    const deleted = await ctl("delete ippool a missing b");
    expect([deleted.code, deleted.out]).toEqual([1, "Successfully deleted 2 'IPPool' resource(s)\n"]);
    expect(deleted.err).toMatch(/^Failed to delete 'IPPool' resource: resource does not exist: IPPool\(missing\)/);
    const none = await ctl("delete ippool x y z");
    expect([none.code, none.out, none.err.trim().split("\n").length]).toEqual([1, "", 3]);
  });

  test("L06, L07 stale and current resourceVersions; identity is kept", async () => {
    await ctl("create -f -", { stdin: pool("v", "10.4.0.0/16") });
    const first = (await ctl("get ippool v -o yaml")).out;
    const withVersion = (version: string, extra: string): string =>
      pool("v", "10.4.0.0/16", extra).replace("metadata:\n", `metadata:\n  resourceVersion: "${version}"\n`);
    expect(await ctl("replace -f -", { stdin: withVersion(versionOf(first), "  disabled: true\n") })).toEqual(
      ok("Successfully replaced 1 'IPPool' resource(s)\n"),
    );
    const stale = await ctl("replace -f -", { stdin: withVersion(versionOf(first), "  disabled: false\n") });
    expect(stale).toEqual({ code: 1, out: "", err: "failed to replace 'IPPool' resource: [update conflict: IPPool(v)]\n" });
    const applied = await ctl("apply -f -", { stdin: withVersion(versionOf(first), "  disabled: false\n") });
    expect(applied).toEqual({ code: 1, out: "", err: "failed to apply 'IPPool' resource: [update conflict: IPPool(v)]\n" });
    expect((await ctl("delete -f -", { stdin: withVersion(versionOf(first), "") })).err).toBe(
      "Failed to delete 'IPPool' resource: update conflict: IPPool(v)\n",
    );
    expect(await ctl("apply -f -", { stdin: pool("v", "10.4.0.0/16") })).toEqual(ok("Successfully applied 1 'IPPool' resource(s)\n"));
    const last = (await ctl("get ippool v -o yaml")).out;
    expect([uidOf(last), /creationTimestamp: .*/.exec(last)![0]]).toEqual([uidOf(first), /creationTimestamp: .*/.exec(first)![0]]);
    expect(last).not.toContain("disabled: true");
    expect(await ctl("delete -f -", { stdin: withVersion(versionOf(last), "") })).toEqual(ok("Successfully deleted 1 'IPPool' resource(s)\n"));
  });

  test("L08 --export strips what belongs to the cluster", async () => {
    await ctl("create -f -", { stdin: pool("x8", "10.8.0.0/16").replace("name: x8", "name: x8\n  labels: {a: b}") });
    const { out } = await ctl("get ippool x8 -o yaml --export");
    expect(out).toContain("metadata:\n  labels:\n    a: b\n  name: x8\nspec:\n");
    // A whole list is not exported.
    expect((await ctl("get ippools -o yaml --export")).out).toMatch(/resourceVersion: .*\n {4}uid: /);
    expect((await ctl("delete ippool x8")).code).toBe(0);
  });

  test("L16 patch merges fields and keeps labels and annotations; an unknown top-level field is refused", async () => {
    const text = pool("x16", "10.16.0.0/16").replace("name: x16", "name: x16\n  labels: {a: b}\n  annotations: {c: d}");
    await ctl("create -f -", { stdin: text });
    expect(await ctl(["patch", "ippool", "x16", "-p", '{"spec":{"natOutgoing":true}}'])).toEqual(ok("Successfully patched 1 'IPPool' resource\n"));
    const { out } = await ctl("get ippool x16 -o yaml --export");
    expect(out).toContain("metadata:\n  annotations:\n    c: d\n  labels:\n    a: b\n  name: x16\n");
    expect(out).toContain("  natOutgoing: true\n");
    const bad = await ctl(["patch", "ippool", "x16", "-p", '{"colour":"red"}']);
    expect([bad.code, bad.out]).toEqual([1, ""]);
    expect(bad.err).toBe("hit error: creating resource from patched data: field in document is not recognized or is in the wrong location: colour\n");
    expect((await ctl("delete ippool x16")).code).toBe(0);
  });

  test("tables of the other kinds", async () => {
    const status =
      "apiVersion: projectcalico.org/v3\nkind: CalicoNodeStatus\nmetadata: {name: s}\nspec: {node: n0, classes: [Agent, BGP], updatePeriodSeconds: 10}\n";
    expect(await ctl("create -f -", { stdin: status })).toEqual(ok("Successfully created 1 'CalicoNodeStatus' resource(s)\n"));
    expect(await ctl("get nodestatus")).toEqual(ok("NAME   NODE   \ns      n0     \n\n"));
    expect(await ctl("get caliconodestatuses -o wide")).toEqual(ok("NAME   NODE   CLASSES     \ns      n0     Agent,BGP   \n\n"));
    expect(await ctl("delete nodestatuses s")).toEqual(ok("Successfully deleted 1 'CalicoNodeStatus' resource(s)\n"));
    for (const word of ["ipamconfig", "ipamconfigs", "IPAMConfiguration"])
      expect((await ctl(["get", word])).out).toMatch(/^NAME +STRICTAFFINITY +AUTOALLOCATEBLOCKS +\n/);
  });

  test("L10 one invalid, all invalid, some invalid", async () => {
    const bad = (name: string): string => pool(name, "10.9.0.1/16");
    const one = await ctl("create -f -", { stdin: bad("x1") });
    expect(one).toEqual({
      code: 1,
      out: "",
      err: "failed to create 'IPPool' resource: [error with field spec.cidr = '10.9.0.1/16' (IPPool CIDR must be strictly masked)]\n",
    });
    const all = await ctl("apply -f -", { stdin: `${bad("x1")}---\n${bad("x2")}` });
    expect(all.err).toMatch(/^failed to apply any 'IPPool' resources: \[error with field .* error with field .*\]\n$/);
    const mixed = await ctl("create -f -", { stdin: [pool("g1", "10.5.0.0/16"), pool("g2", "10.6.0.0/16"), bad("x3")].join("---\n") });
    expect(mixed.out).toBe("Partial success: created the first 2 out of 3 'IPPool' resources:\n");
    expect(mixed.err).toMatch(/^hit error: \[error with field spec.cidr = /);
    expect(mixed.code).toBe(1);
    expect((await ctl("delete ippool g1 g2")).code).toBe(0);
  });
});

describe("felixconfigurations", () => {
  test("L13 create, second revision, get, a second object, delete", async () => {
    expect(await ctl("create -f -", { stdin: felix("node.x", "wireguardEnabled: false") })).toEqual(
      ok("Successfully created 1 'FelixConfiguration' resource(s)\n"),
    );
    expect(await ctl("apply -f -", { stdin: felix("node.y", "wireguardEnabled: true") })).toEqual(
      ok("Successfully applied 1 'FelixConfiguration' resource(s)\n"),
    );
    expect(await ctl("apply -f -", { stdin: felix("node.x", "wireguardMTU: 1400") })).toEqual(
      ok("Successfully applied 1 'FelixConfiguration' resource(s)\n"),
    );
    expect((await ctl("get felixconfig node.x -o yaml --export")).out).toBe(felix("node.x", "wireguardMTU: 1400"));
    expect((await ctl("get felixconfig node.y -o yaml")).out).toContain("\n  wireguardEnabled: true\n");
    expect((await ctl("delete felixconfig node.x node.y")).out).toBe("Successfully deleted 2 'FelixConfiguration' resource(s)\n");
  });

  test.for(["felixconfigs", "FelixConfiguration", "felixconfiguration", "felixconfigurations", "node", "nodes", "no", "NODES"])(
    "L26 the word %s names a type",
    async (word) => {
      const { code, err } = await ctl(["get", word]);
      expect([code, err]).toEqual([0, ""]);
    },
  );

  test("the exercise's patch, as it is typed", async () => {
    await ctl("apply -f -", { stdin: felix("default", "logSeverityScreen: Info") });
    expect(await ctl(["patch", "felixconfiguration", "default", "--type=merge", "-p", '{"spec":{"wireguardEnabled":true}}'])).toEqual(
      ok("Successfully patched 1 'FelixConfiguration' resource\n"),
    );
    const { out } = await ctl("get felixconfiguration default -o yaml");
    expect(out.split("\n").filter((l) => l.includes("wireguardEnabled"))).toEqual(["  wireguardEnabled: true"]);
    expect(out).toContain("  logSeverityScreen: Info\n");
    expect(out).toMatch(
      /^apiVersion: projectcalico.org\/v3\nkind: FelixConfiguration\nmetadata:\n {2}creationTimestamp: "[^"]+"\n {2}name: default\n {2}resourceVersion: "[0-9]+"\n {2}uid: [-0-9a-f]{36}\nspec:\n/,
    );
  });

  test.for([
    {
      name: "unknown field",
      patch: '{"spec":{"wireguardEnable":true}}',
      err: "creating resource from patched data: field in document is not recognized or is in the wrong location: spec.wireguardEnable",
    },
    {
      name: "unknown field at the top",
      patch: '{"specs":{}}',
      err: "creating resource from patched data: field in document is not recognized or is in the wrong location: specs",
    },
    {
      name: "wrong type",
      patch: '{"spec":{"wireguardEnabled":"yes"}}',
      err: "creating resource from patched data: error with field spec.wireguardEnabled = 'yes' (must be of type boolean: \"string\")",
    },
    {
      name: "port 70000",
      patch: '{"spec":{"wireguardListeningPort":70000}}',
      err: "creating resource from patched data: error with field spec.wireguardListeningPort = '70000' (should be less than or equal to 65535)",
    },
    { name: "broken JSON", patch: '{"spec":{"wireguardEnabled":tru', err: "performing merge patch: invalid JSON document: " },
    { name: "a field twice", patch: '{"spec":{"a":1,"a":2}}', err: "performing merge patch: invalid JSON document: the field spec.a is given twice" },
    { name: "no object", patch: "[]", err: "performing merge patch: invalid JSON document: it must be an object" },
    { name: "another name", patch: '{"metadata":{"name":"other"}}', err: "creating resource from patched data: metadata.name cannot be changed" },
    {
      name: "no spec any more",
      patch: '{"spec":7}',
      err: "creating resource from patched data: error with field spec = '7' (must be of type object",
    },
  ])("a patch is refused and nothing changes: $name", async ({ patch, err }) => {
    const before = (await ctl("get felixconfiguration default -o yaml")).out;
    const ran = await ctl(["patch", "felixconfiguration", "default", "--type=merge", "-p", patch]);
    expect([ran.code, ran.out]).toEqual([1, ""]);
    expect(ran.err.startsWith(`hit error: ${err}`), ran.err).toBe(true);
    expect((await ctl("get felixconfiguration default -o yaml")).out).toBe(before);
  });

  test("a patch of what is not there", async () => {
    const ran = await ctl(["patch", "felixconfiguration", "nobody", "-p", "{}"]);
    expect(ran.code).toBe(1);
    expect(ran.err).toMatch(/^hit error: resource does not exist: FelixConfiguration\(nobody\) with error: /);
  });

  test("the three types of patch", async () => {
    expect((await ctl(["patch", "felixconfig", "default", "-p", '{"spec":{"vxlanMTU":1400}}'])).code).toBe(0);
    expect((await ctl(["patch", "felixconfig", "default", "-t", "json", "-p", '[{"op":"remove","path":"/spec/vxlanMTU"}]'])).code).toBe(0);
    expect((await ctl("get felixconfig default -o yaml")).out).not.toContain("vxlanMTU");
    const bad = await ctl(["patch", "felixconfig", "default", "-t", "json", "-p", '[{"op":"remove","path":"/spec/none"}]']);
    expect([bad.code, bad.err.startsWith("hit error: performing JSON patch: ")]).toEqual([1, true]);
  });
});

describe("nodes", () => {
  const KEYS = ["jlkVyQYooZYzI2wFfNhSZez5eWh44yfq1wKVjLvSXgY=", "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg="];
  beforeAll(async () => {
    for (const [i, key] of KEYS.entries())
      await server.client.create(NODE, {
        apiVersion: "v1",
        kind: "Node",
        metadata: { name: `n${i}`, annotations: { [ANNOTATION.ipv4Address]: `192.168.10.${i + 1}/24`, [ANNOTATION.wireguardPublicKey]: key } },
      });
  });

  test("tables", async () => {
    expect(await ctl("get nodes")).toEqual(ok("NAME   \nn0     \nn1     \n\n"));
    expect(await ctl("get node n0 -o wide")).toEqual(
      ok("NAME   ASN       IPV4              IPV6   \nn0     (64512)   192.168.10.1/24          \n\n"),
    );
    expect(await ctl("get nodes -o custom-columns=NAME,IPV4")).toEqual(
      ok("NAME   IPV4              \nn0     192.168.10.1/24   \nn1     192.168.10.2/24   \n\n"),
    );
    expect((await ctl("get nodes -o custom-columns=COLOUR")).err).toBe("unknown heading COLOUR, valid values are: NAME, ASN, IPV4, IPV6\n");
    expect(await ctl("get nodes -o name")).toEqual(ok("node.projectcalico.org/n0\nnode.projectcalico.org/n1\n"));
  });

  test("the exercise's grep for public keys", async () => {
    const { out } = await ctl("get node -o yaml");
    expect(out.split("\n").filter((l) => l.includes("wireguardPublicKey"))).toEqual(KEYS.map((k) => `    wireguardPublicKey: ${k}`));
    expect(out.startsWith("apiVersion: projectcalico.org/v3\nitems:\n- apiVersion: projectcalico.org/v3\n  kind: Node\n")).toBe(true);
    const json = JSON.parse((await ctl("get node -o json")).out) as { kind: string; items: { status: { wireguardPublicKey: string } }[] };
    expect([json.kind, json.items.map((n) => n.status.wireguardPublicKey)]).toEqual(["NodeList", KEYS]);
    const two = JSON.parse((await ctl("get node n0 n1 -o json")).out) as unknown[];
    expect(two.length).toBe(2);
  });

  test("L16 patch keeps labels and annotations; a bad key is refused", async () => {
    expect((await ctl(["label", "node", "n0", "rack=a1"])).code).toBe(0);
    expect(await ctl(["patch", "node", "n0", "-p", '{"spec":{"bgp":{"asNumber":64513}}}'])).toEqual(ok("Successfully patched 1 'Node' resource\n"));
    const { out } = await ctl("get node n0 -o yaml");
    expect(out).toContain("  labels:\n    rack: a1\n");
    expect(out).toContain("    asNumber: 64513\n    ipv4Address: 192.168.10.1/24\n");
    expect(out).toContain(`  wireguardPublicKey: ${KEYS[0]}\n`);
    const bad = await ctl(["patch", "node", "n0", "-p", '{"status":{"wireguardPublicKey":"foobar"}}']);
    expect(bad.code).toBe(1);
    expect(bad.err).toMatch(/^hit error: creating resource from patched data: error with field status.wireguardPublicKey = 'foobar' \(must be /);
    expect((await ctl("get node n0 -o yaml")).out).toBe(out);
  });

  test("L15 labels", async () => {
    expect(await ctl("label nodes n1 app=web")).toEqual(ok("Successfully set label app on nodes n1\n"));
    const again = await ctl("label nodes n1 app=db");
    expect(again).toEqual({
      code: 1,
      out: "",
      err: "failed to update label of nodes n1, key app is already present. please use '--overwrite' to set a new value\n",
    });
    expect(await ctl("label nodes n1 app=db --overwrite")).toEqual(ok("Successfully updated label app on nodes n1\n"));
    expect(await ctl("label nodes n1 app --remove")).toEqual(ok("Successfully removed label app from nodes n1\n"));
    expect((await ctl("label nodes n1 app --remove")).err).toBe("cannot remove label of nodes n1, key app does not exist\n");
    expect((await ctl("label nodes n1 app")).err).toBe("invalid label app\n");
    expect((await ctl("label nodes nobody a=b")).err).toMatch(/^failed to get nodes nobody, error resource does not exist: Node\(nobody\)/);
  });

  test("nodes are not created or deleted here", async () => {
    const created = await ctl("create -f -", { stdin: "apiVersion: projectcalico.org/v3\nkind: Node\nmetadata: {name: n9}\nspec: {}\n" });
    expect(created.err).toMatch(/^failed to create 'Node' resource: \[operation Create is not supported on Node\(n9\): /);
    expect((await ctl("delete node n0")).err).toMatch(/^Failed to delete 'Node' resource: operation Delete is not supported on Node\(n0\): /);
  });
});

describe("words and files", () => {
  test.for([
    { item: "L03 ", line: "get somekind", err: "failed to get resources: resource type 'somekind' is not supported\n" },
    { item: "L19 ", line: "get -m", err: "unknown shorthand flag: 'm' in -m\n" },
    { item: "L19 ", line: "get --unknown-flag", err: "unknown flag: --unknown-flag\n" },
    { item: "", line: "frobnicate", err: 'unknown command "frobnicate" for "calicoctl"\n' },
    { item: "L11 ", line: "get felixconfig -n x", err: "FelixConfiguration is not namespaced\n" },
    { item: "", line: "get pods -n x -A", err: "cannot use both --namespace and --all-namespaces flags at the same time\n" },
    { item: "", line: "get pods p -A", err: "cannot use --all-namespace flag for getting a single resource\n" },
    {
      item: "L11 ",
      line: "delete felixconfig x -n y",
      err: "namespace should not be specified for a non-namespaced resource. FelixConfiguration is not a namespaced resource\n",
    },
    { item: "", line: "get nodes -o xml", err: "unrecognized output format 'xml'\n" },
    { item: "", line: "get nodes -o custom-columns=", err: "need to specify at least one column\n" },
    { item: "", line: "get nodes -l loud", err: "unknown log level: loud, expected one of: panic, fatal, error, warn, info, debug\n" },
    { item: "", line: "apply -f /nonexistent", err: "failed to execute command: open /nonexistent: no such file or directory\n" },
    { item: "", line: "get nodes -c /nonexistent", err: "Error reading config file: /nonexistent" },
    { item: "", line: "version --poll soon", err: "invalid poll duration specified: soon\n" },
  ])("$item$line", async ({ line, err }) => {
    const ran = await ctl(line);
    expect([ran.code, ran.out]).toEqual([1, ""]);
    expect(ran.err.startsWith(err), ran.err).toBe(true);
  });

  test("L04 an empty name", async () => {
    for (const args of [
      ["get", "node", ""],
      ["delete", "ippool", ""],
      ["patch", "ippool", "", "-p", "{}"],
    ])
      // prettier-ignore
      expect((await ctl(args)).err).toBe("resource name may not be empty\n");
    expect((await ctl("apply -f -", { stdin: pool('""', "10.0.0.0/16") })).err).toBe("resource name may not be empty\n");
  });

  test("L05 a broken datastore configuration is an error, not a crash", async () => {
    const broken = file("broken.cfg", "apiVersion: projectcalico.org/v3\nkind: CalicoAPIConfig\nspec:\n  kubeconfig: /nonexistent\n");
    for (const args of ["get nodes", "create -f -", "apply -f -", "replace -f -", "label node n0 a=b"]) {
      const ran = await ctl([...args.split(" "), "-c", broken], { stdin: felix("default", "wireguardMTU: 1400") });
      expect([ran.code, ran.out]).toEqual([1, ""]);
      expect(ran.err).toMatch(/^Failed to create Calico API client: Cannot read the kubeconfig "\/nonexistent": it does not exist\n/);
    }
    const typo = file("typo.cfg", "apiVersion: projectcalico.org/v3\nkind: CalicoAPIConfig\nspec:\n  kubeconfg: x\n");
    expect((await ctl(["get", "nodes", "-c", typo])).err).toMatch(/syntax error in .*typo.cfg: unknown field "spec.kubeconfg"/);
    const nobody = await ctl("get nodes", { env: { TORTIE_SOCKET: "/nonexistent.sock" } });
    expect([nobody.code, nobody.out]).toEqual([1, ""]);
    expect(nobody.err).toContain("Cannot reach the API server at unix:/nonexistent.sock: there is no such socket");
  });

  test("a config file with a kubeconfig, and KUBECONFIG, reach the server over TLS", async () => {
    const good = file("good.cfg", `apiVersion: projectcalico.org/v3\nkind: CalicoAPIConfig\nspec:\n  kubeconfig: ${server.kubeconfig}\n`);
    const env = { TORTIE_SOCKET: "/nonexistent.sock" };
    expect((await ctl(["get", "clusterinfo", "-c", good], { env })).code).toBe(0);
    expect((await ctl("get clusterinfo", { env: { ...env, KUBECONFIG: server.kubeconfig } })).code).toBe(0);
    expect((await ctl("get clusterinfo", { env: { ...env, CALICO_KUBECONFIG: server.kubeconfig } })).code).toBe(0);
  });

  test("L09 JSON, several documents, one list, an array, a directory: the same result", async () => {
    const two = [felix("node.f1", "wireguardMTU: 1401"), felix("node.f2", "wireguardMTU: 1402")];
    const object = (n: number): object => ({
      apiVersion: "projectcalico.org/v3",
      kind: "FelixConfiguration",
      metadata: { name: `node.f${n}` },
      spec: { wireguardMTU: 1400 + n },
    });
    const list = { apiVersion: "projectcalico.org/v3", kind: "FelixConfigurationList", metadata: {}, items: [object(1), object(2)] };
    const directory = join(server.directory, "manifests");
    mkdirSync(join(directory, "deeper"), { recursive: true });
    writeFileSync(join(directory, "1.yaml"), two[0]!);
    writeFileSync(join(directory, "deeper/2.json"), JSON.stringify(object(2)));
    writeFileSync(join(directory, "notes.txt"), "not for us");
    const inputs: [string[], string][] = [
      [["-f", "-"], two.join("---\n")],
      [["-f", "-"], JSON.stringify(list)],
      [["-f", "-"], JSON.stringify([object(1), object(2)])],
      [["-R", "-f", directory], ""],
    ];
    for (const [args, stdin] of inputs) {
      expect(await ctl(["apply", ...args], { stdin })).toEqual(ok("Successfully applied 2 'FelixConfiguration' resource(s)\n"));
      expect(await ctl(["delete", ...args], { stdin })).toEqual(ok("Successfully deleted 2 'FelixConfiguration' resource(s)\n"));
    }
    expect(await ctl(["apply", "-f", directory])).toEqual(ok("Successfully applied 1 'FelixConfiguration' resource(s)\n"));
    expect((await ctl(["get", "-f", directory])).out).toBe("NAME      \nnode.f1   \n\n");
    expect(await ctl("apply -f -", { stdin: `${two[0]}---\n${pool("m", "10.7.0.0/16")}` })).toEqual(ok("Successfully applied 2 resource(s)\n"));
    expect(await ctl("delete -f -", { stdin: `${two[0]}---\n${pool("m", "10.7.0.0/16")}` })).toEqual(ok("Successfully deleted 2 resource(s)\n"));
  });

  test.for([
    {
      name: "unknown field",
      text: felix("default", "wireguardOn: true"),
      err: "field in document is not recognized or is in the wrong location: spec.wireguardOn",
    },
    { name: "a key twice", text: felix("default", "wireguardMTU: 1\n  wireguardMTU: 2"), err: "-: Map keys must be unique" },
    {
      name: "unknown kind",
      text: "apiVersion: projectcalico.org/v3\nkind: Cat\nmetadata: {name: tom}\n",
      err: "unknown resource type (Cat) and/or version (projectcalico.org/v3)",
    },
    {
      name: "unknown version",
      text: felix("a", "wireguardMTU: 1").replace("/v3", "/v9"),
      err: "unknown resource type (FelixConfiguration) and/or version (projectcalico.org/v9)",
    },
    { name: "not a resource", text: "just words", err: "a document is not a resource" },
    { name: "nested without end", text: "[".repeat(20_000), err: "-: it is nested too deep" },
    { name: "a key that is a list", text: "? [a]\n: b\n", err: "unknown resource type () and/or version ()" },
    { name: "an alias", text: "a: &a [1]\nb: *a\n", err: "-: YAML aliases are not supported" },
  ])("a bad file writes nothing, not even its good part: $name", async ({ text, err }) => {
    const ran = await ctl("apply -f -", { stdin: `${felix("node.good", "wireguardMTU: 1400")}---\n${text}` });
    expect([ran.code, ran.out]).toEqual([1, ""]);
    expect(ran.err.startsWith(`failed to execute command: ${err}`), ran.err).toBe(true);
    expect(ran.err).not.toContain("(node:");
    expect((await ctl("get felixconfig node.good")).code).toBe(1);
  });

  test("an empty file, and --skip-empty", async () => {
    expect((await ctl("apply -f -", { stdin: "" })).err).toBe("no resources specified in file -\n");
    expect(await ctl("apply --skip-empty -f -", { stdin: "" })).toEqual(ok("No resources specified\n"));
  });

  test("L14 clusterinformation is read-only", async () => {
    const text = "apiVersion: projectcalico.org/v3\nkind: ClusterInformation\nmetadata: {name: default}\nspec: {clusterType: x}\n";
    expect((await ctl("apply -f -", { stdin: text })).err).toBe(
      "failed to apply 'ClusterInformation' resource: [operation apply is not supported on ClusterInformation: resource is readonly]\n",
    );
    const patched = await ctl(["patch", "clusterinfo", "default", "-p", '{"spec":{"datastoreReady":false}}']);
    expect(patched).toEqual({ code: 1, out: "", err: "hit error: operation update is not supported on ClusterInformation: resource is readonly\n" });
    expect((await ctl("get clusterinformation")).out).toMatch(/^NAME +CLUSTERGUID +CLUSTERTYPE +CALICOVERSION +DATASTOREREADY +\ndefault /);
  });

  test("L12 -A prints the namespaces", async () => {
    const { code, out } = await ctl("get pods -A");
    expect([code, out.startsWith("NAMESPACE   NAME")]).toEqual([0, true]);
  });

  test("L18 a cluster of another version: four lines, unless told to go on; an empty version passes", async () => {
    const set = (calicoVersion: string): Promise<unknown> => server.client.patch(CLUSTER_INFORMATION, "default", { spec: { calicoVersion } });
    const own = (await server.client.get(CLUSTER_INFORMATION, "default")).spec!.calicoVersion!;
    await set("v9.8.7-dev");
    const ran = await ctl("get nodes");
    expect([ran.code, ran.out]).toEqual([1, ""]);
    expect(ran.err).toMatch(
      /^version mismatch\.\nClient Version: {3}v[0-9.]+\nCluster Version: {2}9\.8\.7\nUse --allow-version-mismatch to override\n$/,
    );
    expect((await ctl("get nodes --allow-version-mismatch")).code).toBe(0);
    await set("");
    expect((await ctl("get nodes")).code).toBe(0);
    await set(own);
    expect((await ctl("get nodes")).code).toBe(0);
  });

  test("L17 validate asks no server", async () => {
    const env = { TORTIE_SOCKET: "/nonexistent.sock" };
    expect(await ctl("validate -f -", { stdin: pool("p", "10.0.0.0/16"), env })).toEqual(ok("Successfully validated 1 'IPPool' resource(s)\n"));
    expect(await ctl("validate -f -", { stdin: `${pool("p", "10.0.0.0/16")}---\n${felix("default", "wireguardMTU: 1")}`, env })).toEqual(
      ok("Successfully validated 2 resource(s)\n"),
    );
    expect((await ctl("validate -f -", { stdin: pool("p", "10.0.0.1/16"), env })).err).toMatch(/^failed to validate 'IPPool' resource: \[/);
    expect((await ctl("validate -f -", { stdin: pool("p", "10.0.0.0/16", "  nodeSelector: zone == a\n"), env })).err).toMatch(
      /^failed to validate 'IPPool' resource: \[error with field spec\.nodeSelector = 'zone == a' \(invalid selector: /,
    );
    expect((await ctl("validate -f -", { stdin: "}", env })).err).toMatch(/^failed to execute command: /);
    const path = file(
      "validate.json",
      JSON.stringify({ apiVersion: "projectcalico.org/v3", kind: "IPPool", metadata: { name: "p" }, spec: { cidr: "10.0.0.0/16" } }),
    );
    expect(await ctl(["validate", "-f", path], { env })).toEqual(ok("Successfully validated 1 'IPPool' resource(s)\n"));
    const mixed = await ctl("validate -f -", { stdin: [pool("p", "10.0.0.0/16"), pool("q", "10.1.0.0/16"), pool("r", "x")].join("---\n"), env });
    expect([mixed.code, mixed.out]).toEqual([1, "Partial success: validated the first 2 out of 3 'IPPool' resources:\n"]);
    expect(mixed.err).toMatch(/^hit error: \[error with field spec\.cidr = 'x' /);
    const empty = file("empty.yaml", "---\n");
    expect(await ctl(["validate", "-f", empty], { env })).toEqual({ code: 1, out: "", err: `no resources specified in file ${empty}\n` });
    expect(await ctl(["validate", "--skip-empty", "-f", empty], { env })).toEqual(ok("No resources specified\n"));
  });

  const node = (bgp: string): string => `apiVersion: projectcalico.org/v3\nkind: Node\nmetadata: {name: n}\nspec:\n  bgp: ${bgp}\n`;
  const status = (spec: string): string => `apiVersion: projectcalico.org/v3\nkind: CalicoNodeStatus\nmetadata: {name: s}\nspec: ${spec}\n`;
  test.for([
    ["an AS number of 33 bits", node("{asNumber: 4294967296}"), "spec.bgp.asNumber"],
    ["an address that is none", node("{ipv4Address: 10.0.0.256/24}"), "spec.bgp.ipv4Address"],
    ["IPv6 where IPv4 is wanted", node('{ipv4Address: "fd00::1/64"}'), "spec.bgp.ipv4Address"],
    ["a CIDR with host bits", pool("p", "10.0.0.1/16"), "spec.cidr"],
    ["a CIDR that is none", pool("p", "10.0.0.0/33"), "spec.cidr"],
    ["a block larger than its pool", pool("p", "10.0.0.0/28"), "spec.blockSize"],
    ["a mode that nobody knows", pool("p", "10.0.0.0/16", "  vxlanMode: Maybe\n"), "spec.vxlanMode"],
    ["a port of 17 bits", felix("default", "wireguardListeningPort: 65536"), "spec.wireguardListeningPort"],
    ["port 0", felix("default", "wireguardListeningPortV6: 0"), "spec.wireguardListeningPortV6"],
    ["a rule's priority that is the kernel's", felix("default", "wireguardRoutingRulePriority: 32766"), "spec.wireguardRoutingRulePriority"],
    ["an interface of 16 characters", felix("default", "wireguardInterfaceName: wireguard-cali-1"), "spec.wireguardInterfaceName"],
    ["a class that nobody knows", status("{node: n, classes: [Colour], updatePeriodSeconds: 1}"), "spec.classes[0]"],
    ["less than no time", status("{node: n, classes: [Agent], updatePeriodSeconds: -1}"), "spec.updatePeriodSeconds"],
    [
      "IPAM settings of another name",
      "apiVersion: projectcalico.org/v3\nkind: IPAMConfiguration\nmetadata: {name: x}\nspec: {strictAffinity: true}\n",
      "metadata.name",
    ],
  ] as const)("L23 invalid data is rejected: %s", async ([, text, field]) => {
    for (const verb of ["validate", "apply"]) {
      const ran = await ctl([verb, "-f", "-"], { stdin: text });
      expect([ran.code, ran.out]).toEqual([1, ""]);
      expect(ran.err).toContain(`error with field ${field} = '`);
    }
  });

  test("version --poll prints what changes", async () => {
    const { spec } = await server.client.get(CLUSTER_INFORMATION, "default");
    const polling = server.follow("calicoctl", ["version", "--poll", "50ms"]);
    const versions = (): string[] => [...polling.out().matchAll(/^Cluster Version: {2}(.*)$/gm)].map((m) => m[1]!);
    await vi.waitFor(() => expect(versions()).toEqual([spec!.calicoVersion]), 60_000);
    await server.client.patch(CLUSTER_INFORMATION, "default", { spec: { calicoVersion: "v7" } });
    await vi.waitFor(() => expect(versions()).toEqual([spec!.calicoVersion, "v7"]), 60_000);
    await polling.end();
    await server.client.patch(CLUSTER_INFORMATION, "default", { spec: { calicoVersion: spec!.calicoVersion } });
  });

  test("L19 version, and -h", async () => {
    expect((await ctl("version")).out).toMatch(/^Client Version: {3}v[0-9.]+\nCluster Version: {2}\S+\nCluster Type: {5}\S+\n$/);
    const help = await ctl("get -h");
    expect([help.code, help.err]).toEqual([0, ""]);
    expect(help.out).toContain("Examples:\n");
  });

  test("tortie get is calicoctl get", async () => {
    expect(await server.run("tortie", ["get", "nodes"])).toEqual(await ctl("get nodes"));
  });
});
