// What kubectl asks of us command by command, beside recordings of the same kubectl on another server: the same requests, the same exit code, the same
// output. Where ours differs on purpose, DIFFERENCES says how and why.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { apiVersionOf } from "../../src/api/kind.ts";
import { KINDS } from "../../src/api/kinds.ts";
import { REVIEWS } from "../../src/apiserver/identity/reviews.ts";
import { describeWith } from "../peers.ts";
import { fakeAgent } from "./fakeagent.ts";
import { KUBECTLS, runKubectl } from "./kubectls.ts";
import { ask, ServerHome, until } from "./process.ts";
import { Recorder } from "./recorder.ts";
import { describeRecorded, isDiscovery, isDocument, linesOf, stepsOf, withoutIds } from "./recordings.ts";

type Difference = {
  readonly why: string;
  readonly requests?: (recorded: readonly string[]) => readonly string[];
  readonly code?: number;
  readonly out?: RegExp | string;
  readonly err?: RegExp | string;
};

const POOL_COLUMNS = /^NAME +CIDR +VXLAN +IPIP +NAT +(ALLOCATABLE +)?AGE\np1 +10\.1\.0\.0\/16 .*\d+m?s\n$/;
const COLUMNS = "the recordings' server had two columns for every kind; ours are Calico's and Kubernetes'";
const SCHEMA = "the recordings' server had a smaller schema, and the recording keeps only the beginning";
const APPLY = "server-side apply is not there yet, and is refused with what to use instead";
const answered = (code: number) => (lines: readonly string[]) =>
  lines.map((l) => (l.startsWith("GET /openapi") ? l : l.replace(/-> \d+/, `-> ${code}`)));
/** The requests up to the first PATCH: what follows it never comes. */
const upToPatch = (lines: readonly string[]): string[] => lines.slice(0, lines.findIndex((l) => l.startsWith("PATCH")) + 1);

const DIFFERENCES: Readonly<Record<string, Difference>> = {
  "get-yaml": {
    why: "Calico's defaults are filled in",
    out: `apiVersion: projectcalico.org/v3
kind: IPPool
metadata:
  creationTimestamp: "TIME"
  generation: 1
  name: p1
  resourceVersion: "*"
  uid: UID
spec:
  assignmentMode: Automatic
  cidr: 10.1.0.0/16
  nodeSelector: all()
  vxlanMode: Never
`,
  },
  "get-wide": { why: COLUMNS, out: POOL_COLUMNS },
  "get-sort": { why: COLUMNS, out: POOL_COLUMNS },
  "get-w-list": { why: COLUMNS, out: POOL_COLUMNS },
  "get-w-one": { why: COLUMNS, out: POOL_COLUMNS },
  "get-chunk": {
    why: `${COLUMNS}; and kube-node-lease is there from the beginning`,
    requests: (lines) => [...lines, lines.at(-1)!],
    out: /^NAME +STATUS +AGE\ncalico-system +Active +\d+s\ndefault +Active +\d+s\nkube-node-lease +Active +\d+s\nkube-system +Active +\d+s\n$/,
  },
  describe: {
    why: SCHEMA,
    out: /^Name: +p1\nNamespace: +\nLabels: +<none>\nAnnotations: +<none>\nAPI Version: +projectcalico.org\/v3\nKind: +IPPool\nMetadata:\n[^]*Spec:\n[^]*Cidr: +10\.1\.0\.0\/16\n[^]*Events: +<none>\n$/,
  },
  "describe-node": {
    why: SCHEMA,
    out: /^Name: +node-a\nRoles: +<none>\nLabels: +kubernetes.io\/hostname=node-a\nAnnotations: +<none>\nCreationTimestamp: [^\n]+\nTaints: +<none>\nUnschedulable: +false\nLease: +Failed to get lease[^]*Conditions:\n[^]*Ready[^]*Events: +<none>\n$/,
  },
  diff: {
    why: "it shows another field: block sizes cannot be changed",
    out: /^diff -u -N \S+LIVE\S+projectcalico.org.v3.IPPool..p1 \S+MERGED\S+projectcalico.org.v3.IPPool..p1\n[^]*\n- +vxlanMode: Never\n\+ +vxlanMode: Always\n/,
  },
  "apply-ssa": { why: APPLY, requests: (lines) => answered(415)(upToPatch(lines)), code: 1, out: "", err: /server-side apply/i },
  "apply-ssa-force": { why: APPLY, requests: (lines) => answered(415)(upToPatch(lines)), code: 1, out: "", err: /server-side apply/i },
  "replace-force": {
    why: "kubectl 1.32 was recorded with a watch that was not its own",
    requests: (lines) => lines.filter((l) => !l.startsWith("GET /api/v1/namespaces?")),
  },
  explain: {
    why: SCHEMA,
    out: /^GROUP: +projectcalico.org\nKIND: +IPPool\nVERSION: +v3\n\nFIELD: spec <Object>( -required-)?\n[^]*\n {2}blockSize\t<integer>\n[^]*\n {2}cidr\t<string>/,
  },
  version: { why: "other versions", out: /^Client Version: v1\.\d+\.\d+\S*\nKustomize Version: v\S+\nServer Version: v1\.36\.0\+tortie-\S+\n$/ },
  "api-versions": {
    why: "ours has what it serves",
    // In whatever order.
    out: new RegExp([...KINDS, ...REVIEWS].map((k) => `(?=[^]*^${apiVersionOf(k).replaceAll(".", "\\.")}$)`).join(""), "m"),
  },
  "can-i-list": {
    why: "an administrator is also somebody who is known, whose rules are listed too",
    out: /^Resources +Non-Resource URLs +Resource Names +Verbs\n[^]*\*\.\* +\[\] +\[\] +\[\*\]\n[^]* \[\*\] +\[\] +\[\*\]\n/,
  },
  whoami: {
    why: "our administrator has another name",
    out: /^ATTRIBUTE +VALUE\nUsername +tortie-admin\nGroups +\[system:masters system:authenticated\]\n/,
  },
  "create-token": { why: "there are no service accounts", requests: answered(404), code: 1, out: "", err: /could not find the requested resource/ },
  cp: {
    why: "kubectl ends with the archive, and at times before tar's last words have come",
    out: /^(tar: Removing leading `\/' from member names\n)?$/,
  },
  "port-forward": { why: "ports of pods are not forwarded", err: /pods\/portforward is not served: kubectl exec runs a command in the pod/ },
};

/** Words of the recorded commands that are about what ours does otherwise: Calico lets nobody change the size of a pool's blocks. */
const INSTEAD: Readonly<Record<string, string>> = {
  '{"spec":{"blockSize":29}}': '{"spec":{"vxlanMode":"CrossSubnet"}}',
  '[{"op":"replace","path":"/spec/blockSize","value":30}]': '[{"op":"replace","path":"/spec/vxlanMode","value":"Never"}]',
  "/tmp/x1": "x1",
};
/** What `kubectl edit` starts. */
const EDITOR = "#!/bin/sh\nsed -i 's/vxlanMode: .*/vxlanMode: Always/' \"$1\"\n";

const pool = (name: string, cidr: string, vxlanMode: string, metadata: object = {}): object => ({
  apiVersion: "projectcalico.org/v3",
  kind: "IPPool",
  metadata: { name, ...metadata },
  spec: { cidr, vxlanMode },
});

describeWith(["kubectl"], "the recorded commands", () => {
  for (const kubectl of KUBECTLS.filter((k) => k.minor >= 30))
    describeRecorded(`kubectl-1.${kubectl.minor}-requests.txt`, kubectl.name, (text) => {
      const steps = stepsOf(text);
      const documents = new Set<string>();
      let home: ServerHome;
      let recorder: Recorder;
      let agent: Awaited<ReturnType<typeof fakeAgent>>;
      let directory: string;

      const create = async (path: string, object: object): Promise<void> => {
        const { code, body } = await ask(home.socket, path, { method: "POST", body: JSON.stringify(object) });
        if (code !== 201) throw new Error(body);
      };
      const node = (name: string): Promise<void> =>
        create("/api/v1/nodes", {
          apiVersion: "v1",
          kind: "Node",
          metadata: { name, labels: { "kubernetes.io/hostname": name } },
          status: { conditions: [{ type: "Ready", status: "True" }] },
        });

      beforeAll(async () => {
        home = new ServerHome();
        await home.start();
        recorder = await Recorder.start(home);
        directory = join(home.directory, "work");
        mkdirSync(directory);
        const file = (name: string, content: object | string): void =>
          writeFileSync(join(directory, name), typeof content === "string" ? content : JSON.stringify(content));
        writeFileSync(join(directory, "editor"), EDITOR, { mode: 0o755 });
        file("pool.yaml", pool("p1", "10.1.0.0/16", "Never"));
        file("pool27.yaml", pool("p1", "10.1.0.0/16", "Always"));
        file("fin.yaml", pool("p3", "10.3.0.0/16", "Never", { finalizers: ["x.y/z"] }));
        file("csr.yaml", steps.find((s) => s.name === "csr-create")!.bodies[0]!);
        for (const name of ["node-a", "node-b"]) await node(name);
        const containers = [{ name: "main", image: "none" }];
        await create("/api/v1/namespaces/default/pods", {
          apiVersion: "v1",
          kind: "Pod",
          metadata: { name: "lab1" },
          spec: { nodeName: "node-a", containers },
        });
        const status = { phase: "Running", conditions: [{ type: "Ready", status: "True" }] };
        await ask(home.socket, "/api/v1/namespaces/default/pods/lab1/status", {
          method: "PATCH",
          type: "application/merge-patch+json",
          body: JSON.stringify({ status }),
        });
        agent = await fakeAgent(home.socket, "node-a");
        // Somebody takes the finalizer away once kubectl waits for the end.
        recorder.onAnswer((r) => {
          if (r.target.includes("metadata.name%3Dp3") && r.target.includes("watch=true"))
            void ask(home.socket, "/apis/projectcalico.org/v3/ippools/p3", {
              method: "PATCH",
              type: "application/merge-patch+json",
              body: '{"metadata":{"finalizers":null}}',
            });
        });
      });
      afterAll(async () => {
        agent?.close();
        await recorder?.close();
        await home?.remove();
      });

      test("every known difference is about a command of the recording", () =>
        expect(Object.keys(DIFFERENCES).filter((name) => !steps.some((s) => s.name === name))).toEqual([]));

      test.for(steps.map((step) => [step.name, step] as const))("%s", async ([name, step]) => {
        const {
          requests = (lines: readonly string[]) => lines,
          code = step.code,
          out = step.out,
          err = step.err,
        } = DIFFERENCES[name] ?? ({} as Partial<Difference>);
        const expected = requests(step.requests);
        recorder.take();
        // Whether something more comes is seen half a second later.
        const lines = typeof out === "string" ? out.split("\n").length : 1;
        const enough = (printed: () => string): Promise<void> =>
          until(() => recorder.requests.length >= expected.length && printed().split("\n").length >= lines);
        const ran = await runKubectl(
          kubectl,
          step.args.map((word) => INSTEAD[word] ?? word),
          {
            kubeconfig: recorder.kubeconfig,
            home: directory,
            env: { EDITOR: join(directory, "editor") },
            ...(code === 124 ? { until: (printed: () => string) => enough(printed).then(() => new Promise((r) => setTimeout(r, 500))) } : {}),
          },
        );
        const asked = linesOf(recorder.take()).filter((line) => !isDiscovery(line) || expected.some(isDiscovery));
        // Documents of OpenAPI may be kept for a year, under the name of their content: each is asked for once, and the list of them is compared.
        expect(asked.filter(isDocument)).toEqual(expected.filter((line) => isDocument(line) && !documents.has(line)));
        for (const line of asked.filter(isDocument)) documents.add(line);
        const others = (lines: readonly string[]): string[] =>
          lines.filter((l) => !isDocument(l)).map((l) => l.replace(/(\/openapi\/v3\?\S+ ->) 304/, "$1 200"));
        expect(others(asked)).toEqual(others(expected));
        const said = (text: string, wanted: string | RegExp): void =>
          typeof wanted === "string" ? expect(withoutIds(text)).toBe(withoutIds(wanted)) : expect(text).toMatch(wanted);
        said(ran.out, out);
        said(ran.err, err);
        expect(ran.code, ran.err).toBe(code);
      });
    });
});
