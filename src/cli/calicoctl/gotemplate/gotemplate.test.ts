// Go's templates. Expected texts follow the rules of https://pkg.go.dev/text/template; kubectl, whose templates are Go's own, is the peer in
// test/calicoctl/templates.test.ts.
import fc from "fast-check";
import { expect, test } from "vitest";
import { TortieError } from "../../../base/errors.ts";
import { renderTemplate } from "./run.ts";

const pool = (name: string, cidr: string): { [key: string]: unknown } => ({
  kind: "IPPool",
  metadata: { name, labels: { b: "2", a: "1" } },
  spec: { cidr, natOutgoing: true, blockSize: 26, allowedUses: ["Workload", "Tunnel"] },
});
const [P, Q] = [pool("p", "10.0.0.0/16"), pool("q", "10.1.0.0/16")];
const LIST = { kind: "IPPoolList", metadata: { resourceVersion: "7" }, items: [P, Q] };
const render = (template: string, ...answers: unknown[]): string => renderTemplate(template, answers as never, { asNumber: "64512" });

test.for([
  ["{{.metadata.name}}", "p"],
  ["{{.ObjectMeta.Name}} {{.Spec.CIDR}} {{.TypeMeta.Kind}}", "p 10.0.0.0/16 IPPool"],
  ["{{range .}}{{.metadata.name}},{{end}}", "p,"],
  ["{{with .spec}}{{.cidr}}{{end}}", "10.0.0.0/16"],
  ["{{.nothing}} {{.metadata.none.deeper}}", "<no value> <no value>"],
  ["{{if .spec.natOutgoing}}nat{{else}}plain{{end}}", "nat"],
  ["{{if .spec.disabled}}off{{else if .spec.natOutgoing}}nat{{else}}on{{end}}", "nat"],
  ["{{with .none}}x{{else}}y{{end}}", "y"],
  ["{{range $i, $u := .spec.allowedUses}}{{$i}}={{$u}};{{end}}", "0=Workload;1=Tunnel;"],
  ["{{range $k, $v := .metadata.labels}}{{$k}}{{$v}} {{end}}", "a1 b2 "],
  ["{{range .none}}x{{else}}none{{end}}", "none"],
  ['{{range .spec.allowedUses}}{{if eq . "Tunnel"}}{{continue}}{{end}}{{.}}{{end}}', "Workload"],
  ["{{range .spec.allowedUses}}{{.}}{{break}}{{end}}", "Workload"],
  ['{{join .spec.allowedUses ","}}', "Workload,Tunnel"],
  ['{{joinAndTruncate .spec.allowedUses "," 11}}', "Workload..."],
  ["{{.spec.allowedUses}} {{.metadata.labels}}", "[Workload Tunnel] map[a:1 b:2]"],
  ['{{config "asnumber"}}', "64512"],
  ['{{len .spec.allowedUses}} {{index .spec.allowedUses 1}} {{index .metadata.labels "b"}}', "2 Tunnel 2"],
  ['{{printf "%-5s|%5d|%q|%v|%05d" .metadata.name .spec.blockSize .spec.cidr true 42}}', 'p    |   26|"10.0.0.0/16"|true|00042'],
  ['{{.spec.cidr | printf "%s!" | print}}', "10.0.0.0/16!"],
  ["{{$x := 1}}{{if true}}{{$x = 2}}{{end}}{{$x}}", "2"],
  ["{{$x := 1}}{{if true}}{{$x := 2}}{{$x}}{{end}}{{$x}}", "21"],
  ['{{and .spec.natOutgoing .spec.blockSize}} {{or .spec.disabled "b"}} {{not true}}', "26 b false"],
  ['{{if and (eq .kind "IPPool") (gt .spec.blockSize 20)}}yes{{end}}', "yes"],
  ['{{eq .kind "A" "IPPool"}} {{ne 1 2}} {{lt 1 2}} {{ge "b" "a"}}', "true true true true"],
  ["a  {{- /* gone */ -}}  b", "ab"],
  ['a {{- " x " -}} b', "a x b"],
  ['{{"}}"}}{{`{{`}}', "}}{{"],
  ['{{"a\\n\\t\\"\\u00e9"}}', 'a\n\t"é'],
  ["{{'a'}} {{0x10}} {{1.5}} {{nil | print}}", "97 16 1.5 <no value>"],
  ['{{define "t"}}<{{.}}>{{end}}{{template "t" .metadata.name}}', "<p>"],
  ['{{block "b" .spec}}{{.cidr}}{{end}}', "10.0.0.0/16"],
  ['{{html "<a>"}} {{urlquery "a b&c"}} {{print 1 2 "x" 3}} {{println 1 "x"}}', "&lt;a&gt; a+b%26c 1 2x3 1 x\n"],
  ["{{$.metadata.name}}{{range .spec.allowedUses}}{{$.kind}}{{end}}", "pIPPoolIPPool"],
  ["{{(index .spec.allowedUses 0)}} {{(.metadata).name}}", "Workload p"],
  ["{{slice .spec.cidr 0 4}}", "10.0"],
  ["{{range $i := 3}}{{$i}}{{end}}", "012"],
] as const)("%s", ([template, text]) => expect(render(template, P)).toBe(text));

test("several answers: a template for one is executed for each, others get all of them", () => {
  expect(render("{{.metadata.name}};", P, Q)).toBe("p;q;");
  expect(render("{{range .}}{{.metadata.name}}{{end}};", P, Q)).toBe("pq;");
  expect(render("{{len .}}", P, Q)).toBe("2");
});
test("a list is its resources, unless the template asks for the items itself", () => {
  expect(render("{{range .}}{{.metadata.name}},{{end}}", LIST)).toBe("p,q,");
  expect(render("{{range .items}}{{.metadata.name}},{{end}}", LIST)).toBe("p,q,");
  expect(render("{{range .}}{{range .Items}}{{.ObjectMeta.Name}},{{end}}{{end}}", LIST)).toBe("p,q,");
  expect(render("{{.metadata.name}},", LIST)).toBe("p,q,");
});

test.for([
  ["{{", "template: get:1: unclosed action"],
  ["a\n{{if .x}}", "template: get:2: unexpected EOF: an action is not ended"],
  ["{{end}}", "template: get:1: unexpected {{end}}"],
  ["{{else}}", "template: get:1: unexpected {{else}}"],
  ["{{nosuch .x}}", 'template: get:1: function "nosuch" not defined'],
  ["{{$y}}", 'template: get:1: undefined variable "$y"'],
  ["{{.x .y}}", "template: get:1: can't give argument to non-function"],
  ['{{template "t"}}', 'template: get:1: template "t" not defined'],
  ['{{define "t"}}{{template "t"}}{{end}}{{template "t"}}', "template: get:1: templates are nested deeper than 100"],
  ["{{break}}", "template: get:1: {{break}} outside {{range}}"],
  ["{{index .spec.allowedUses 9}}", "template: get:1: error calling index: index out of range: 9"],
  ['{{lt 1 "a"}}', "template: get:1: error calling lt: incompatible types for comparison"],
  ["{{range .kind}}{{end}}", "template: get:1: range can't iterate over IPPool"],
  ["{{(.x}}", "template: get:1: unclosed left paren"],
  ["{{}}", "template: get:1: missing value for command"],
  ["{{.x ~}}", 'template: get:1: unexpected "~" in command'],
] as const)("refused: %s", ([template, message]) => expect(() => render(template, P)).toThrow(new TortieError(message)));

test("any text is rendered or refused with a TortieError", () => {
  const part = fc.constantFrom("{{", "}}", "{{-", " -}}", ".x", ".", "$", "$a", ":=", "|", "(", ")", '"s"', "`r`", "if", "range", "with", "end", "else", "define", "template", "printf", "index", " ", "1", "-", "/*", "*/", "\n", "é"); // prettier-ignore
  fc.assert(
    fc.property(
      fc.array(part, { maxLength: 14 }).map((a) => a.join("")),
      (template) => {
        try {
          expect(typeof render(template, P)).toBe("string");
        } catch (thrown) {
          expect(thrown).toBeInstanceOf(TortieError);
        }
      },
    ),
    { numRuns: 2000 },
  );
});
