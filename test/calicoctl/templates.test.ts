// -o go-template beside the real kubectl, whose templates are executed by Go itself: the same template on the same object, the same text.
import { execFile } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { IP_POOL } from "../../src/api/ippool.ts";
import { RealServer } from "../client/server.ts";
import { describeWith, find } from "../peers.ts";

let server: RealServer;
beforeAll(async () => {
  server = new RealServer();
  await server.start();
  for (const [name, cidr] of [
    ["p", "10.0.0.0/16"],
    ["q", "10.1.0.0/16"],
  ] as const)
    await server.client.create(IP_POOL, {
      apiVersion: "projectcalico.org/v3",
      kind: "IPPool",
      metadata: { name, labels: { b: "2", a: "1" }, annotations: { "c.d/e": '<"x">' } },
      spec: { cidr, natOutgoing: true, allowedUses: ["Workload", "Tunnel"], blockSize: 26 },
    });
});
afterAll(() => server.dispose());

const TEMPLATES = [
  "{{.metadata.name}}:{{.spec.cidr}}",
  "{{range .spec.allowedUses}}[{{.}}]{{end}}{{range .none}}x{{else}}none{{end}}",
  "{{range $k, $v := .metadata.labels}}{{$k}}={{$v}};{{end}}",
  "{{.spec.allowedUses}} {{.metadata.labels}} {{.none}} {{.spec.natOutgoing}} {{.spec.blockSize}}",
  '{{if and .spec.natOutgoing (eq .kind "IPPool")}}yes{{else}}no{{end}}{{if not .spec.disabled}}!{{end}}',
  "{{with .spec}}{{.cidr}}{{end}}{{with .none}}x{{else}}{{$.kind}}{{end}}",
  '{{printf "%-10s|%8s|%q|%v|%t|%%" .metadata.name .kind .spec.cidr .spec.natOutgoing .spec.natOutgoing}}',
  '{{.spec.cidr | printf "<%s>" | html}} {{index .metadata.annotations "c.d/e" | html}} {{urlquery .spec.cidr}}',
  '{{index .metadata.annotations "c.d/e"}} {{len .spec.allowedUses}} {{len .kind}} {{slice .kind 2}} {{index .spec.allowedUses 1}}',
  '{{$x := "a"}}{{range .spec.allowedUses}}{{$x = .}}{{end}}{{$x}}{{- /* c */ -}}  z',
  '{{define "t"}}({{.}}){{end}}{{template "t" .kind}}{{template "t"}}{{block "b" .spec}}{{.cidr}}{{end}}',
  '{{range $i, $u := .spec.allowedUses}}{{if $i}},{{end}}{{$u}}{{end}}{{"\\n"}}{{`raw\\n`}}',
  '{{range .spec.allowedUses}}{{if eq . "Tunnel"}}{{break}}{{end}}{{.}}{{end}}',
  '{{print 1 2 "x" 3 4}} {{println "a" 1}}{{print .kind .kind}} {{js "it\'s \\"a\\\\b\\" <b>=\\n"}}',
  '{{eq .kind "A" "IPPool"}} {{ne 1 2}} {{lt "a" "b"}} {{or .none "default"}} {{and .kind .none}}',
  '{{printf "%5d|%-5d|%05d|%x|%c|%+d" 42 42 42 255 65 7}} {{printf "%s"}} {{printf "%d" "x"}} {{printf "a" 1}}',
  "a {{- 1 -}} b {{'a'}} {{0x1F}} {{1.5}} {{true}}",
  "{{(index .spec.allowedUses 0)}}{{(.metadata).name}}",
];

describeWith(["kubectl"], "go-template", () => {
  const kubectl = (args: readonly string[]): Promise<string> =>
    new Promise((resolve, reject) => {
      execFile(find("kubectl")!, ["--kubeconfig", server.kubeconfig, "--cache-dir", join(server.directory, "cache"), ...args], (error, out, err) =>
        error ? reject(new Error(err)) : resolve(out),
      );
    });
  const ours = async (...args: string[]): Promise<string> => {
    const { code, out, err } = await server.run("calicoctl", args);
    expect([code, err]).toEqual([0, ""]);
    return out;
  };

  test.for(TEMPLATES)("%s", async (template) => {
    const output = `go-template=${template}`;
    expect(await ours("get", "ippool", "p", "-o", output)).toBe(await kubectl(["get", "ippool", "p", "-o", output]));
  });
  test("a list, and a template in a file", async () => {
    const template = "{{range .items}}{{.metadata.name}} {{.spec.cidr}}\n{{end}}";
    const file = join(server.directory, "t.tmpl");
    writeFileSync(file, template);
    const text = await kubectl(["get", "ippools", "-o", `go-template=${template}`]);
    expect(text).toBe("p 10.0.0.0/16\nq 10.1.0.0/16\n");
    expect(await ours("get", "ippools", "-o", `go-template=${template}`)).toBe(text);
    expect(await ours("get", "ippools", "-o", `go-template-file=${file}`)).toBe(text);
    expect(await ours("get", "ippools", "-o", "go-template={{range .}}{{.ObjectMeta.Name}} {{.Spec.CIDR}}\n{{end}}")).toBe(text);
  });
  test("empty and broken ones", async () => {
    for (const [output, err] of [
      ["go-template=", "need to specify a template\n"],
      ["go-template-file=", "need to specify a template file\n"],
      ["go-template-file=/nonexistent", "cannot read the template file /nonexistent: no such file or directory\n"],
      ["go-template={{.x", "template: get:1: unclosed action\n"],
    ] as const)
      expect(await server.run("calicoctl", ["get", "ippools", "-o", output])).toEqual({ code: 1, out: "", err });
  });
});
