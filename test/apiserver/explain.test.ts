// The real kubectl explains what `tortie explain` does, and reads the definitions of our kinds.
import { execFileSync, spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { isCustom } from "../../src/api/crd.ts";
import { apiVersionOf, resourceOf } from "../../src/api/kind.ts";
import { KINDS } from "../../src/api/kinds.ts";
import { describeWith, find, tortie } from "../peers.ts";
import { ServerHome, until } from "./process.ts";

const current = find("kubectl");
/** Releases that read OpenAPI v3. */
const programs = [current, current && join(dirname(current), "kubectl-1.32")].filter((p): p is string => p !== undefined && existsSync(p));

describeWith(["kubectl"], "explain and definitions", () => {
  let home: ServerHome;
  beforeAll(async () => {
    home = new ServerHome();
    await home.start();
  });
  afterAll(() => home.remove());
  const environment = (): NodeJS.ProcessEnv => ({
    ...process.env,
    KUBECONFIG: home.kubeconfig,
    KUBECACHEDIR: join(home.directory, "cache"),
    HOME: home.directory,
  });
  const kubectl = (program: string, ...args: string[]): string => execFileSync(program, args, { encoding: "utf8", env: environment() });

  describe.each(programs)("%s", (program) => {
    test("kubectl explain --recursive names the same fields with the same types, of every kind", () => {
      for (const kind of KINDS) {
        const fields = (text: string): string[] => text.split("\n").filter((l) => /^ +\S+\t</.test(l));
        expect([kind.kind, fields(kubectl(program, "explain", kind.plural, "--api-version", apiVersionOf(kind), "--recursive"))]).toEqual([
          kind.kind,
          fields(tortie("explain", resourceOf(kind), "--recursive")),
        ]);
      }
    });
    test("one field, word by word", () => {
      const words = (text: string): string[] =>
        text
          .split("\n")
          .filter((l) => l.trim() !== "")
          .slice(0, 8);
      for (const field of ["ippools.spec.vxlanMode", "felixconfiguration.spec.wireguardEnabled", "nodes.spec.unschedulable"])
        expect(words(tortie("explain", field))).toEqual(words(kubectl(program, "explain", field)));
    });
    test("what reviews ask and answer", () => {
      for (const [kind, field] of [
        ["selfsubjectaccessreviews", "spec.resourceAttributes.verb"],
        ["selfsubjectrulesreviews", "status.resourceRules.verbs"],
        ["subjectaccessreviews", "spec.user"],
        ["selfsubjectreviews", "status.userInfo.username"],
        ["tokenreviews", "status.authenticated"],
      ])
        expect(kubectl(program, "explain", `${kind}.${field}`)).toMatch(new RegExp(`^FIELD: ${field!.split(".").at(-1)} <`, "m"));
    });
    test("definitions are followed until somebody has seen enough", async () => {
      const names = KINDS.filter(isCustom).map(resourceOf);
      const log = join(home.data, "audit.log");
      /** Watches that the server began. */
      const begun = (): number =>
        (existsSync(log) ? readFileSync(log, "utf8") : "")
          .split("\n")
          .filter((l) => l.includes('"ResponseStarted"') && l.includes('"verb":"watch"') && l.includes('"customresourcedefinitions"')).length;
      const before = begun();
      const watch = spawn(program, ["get", "crd", "-w"], { env: environment() });
      let [seen, err] = ["", ""];
      watch.stdout.on("data", (d: Buffer) => (seen += d.toString()));
      watch.stderr.on("data", (d: Buffer) => (err += d.toString()));
      const ended = new Promise((resolve) => watch.once("close", resolve));
      await until(() => names.every((n) => seen.includes(n)) && begun() > before, 30_000);
      watch.kill();
      await ended;
      expect(err).toBe("");
    });
    test("definitions are read as custom resources' are", () => {
      const names = KINDS.filter(isCustom).map((k) => `customresourcedefinition.apiextensions.k8s.io/${resourceOf(k)}`);
      expect(kubectl(program, "get", "crd", "-o", "name").trim().split("\n")).toEqual(names.toSorted());
      expect(kubectl(program, "wait", "--for=condition=Established", "crd/ippools.projectcalico.org", "--timeout=60s")).toContain("condition met");
      expect(kubectl(program, "get", "crd", "ippools.projectcalico.org", "-o", "jsonpath={.spec.versions[0].additionalPrinterColumns[0]}")).toContain(
        '"jsonPath":".spec.cidr"',
      );
    });
  });
});

test("what is not there is said with what is", () => {
  const failing = (...args: string[]): string => {
    try {
      return tortie("explain", ...args);
    } catch (thrown) {
      return (thrown as { stderr: string }).stderr;
    }
  };
  expect(failing("nosuch")).toMatch(/^Cannot explain "nosuch": there is no kind of that name\nThe kinds: namespaces, /);
  expect(failing("ippool.spec.cdir")).toMatch(/^Cannot explain "ippool.spec.cdir": IPPool.spec has no field "cdir"\nIts fields: allowedUses, /);
});
