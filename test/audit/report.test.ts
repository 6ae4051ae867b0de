// The reports of an audit: the page in a real browser, the annotated capture in tshark, saved captures of any number.
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { document, provable } from "../../src/capture/audit/audit.cases.ts";
import { describeWith, find, TORTIE } from "../peers.ts";

const directory = mkdtempSync(join(tmpdir(), "tortie-test-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));
const file = (name: string, text?: string): string => {
  const path = join(directory, name);
  if (text !== undefined) writeFileSync(path, text);
  return path;
};
const capture = new URL("../captures/leak-nodeA.pcap", import.meta.url).pathname;
const inventory = new URL("../captures/leak-inventory.json", import.meta.url).pathname;
const audit = (...args: string[]): { code: number | null; out: string; err: string } => {
  const r = spawnSync(process.execPath, [TORTIE, "audit", ...args], { encoding: "utf8", timeout: 250_000 });
  return { code: r.status, out: r.stdout, err: r.stderr };
};
const HOSTILE = `"><script>document.title="run"</script><img src=http://192.0.2.1/x onerror=alert(1)>\u202e\u001b[31m`;

describe("the page", () => {
  const page = file("report.html");
  const hostile = {
    ...document,
    nodes: document.nodes.map((n) => ({ ...n, name: `${n.name}${HOSTILE}` })),
    pods: document.pods.map((p) => ({ ...p, node: `${p.node}${HOSTILE}` })),
  };
  test("is one file of its owner's, small, without script or request, everything in it escaped", () => {
    expect(audit(capture, "--inventory", file("hostile.json", JSON.stringify(hostile)), "--html", page).code).toBe(2);
    const text = readFileSync(page, "utf8");
    expect([statSync(page).mode & 0o777, text.length < 64_000]).toEqual([0o600, true]);
    expect(text).not.toMatch(/<script|<img|<link|@import|url\(/);
    expect(text).toContain("default-src 'none'");
    expect(text).toContain("&lt;script&gt;");
    for (const c of ["\u202e", "\u001b"]) expect(text).not.toContain(c);
    expect(text).toMatch(/<b>FAIL<\/b>[^]*47\.76 %[^]*33\.92 %[^]*TUNNEL_NOT_UP[^]*What to do/);
  });
  test("a terminal is not driven by names either", () => {
    const r = audit(capture, "--inventory", file("hostile.json"));
    expect(r.out).not.toContain("\u001b");
  });
  describeWith(["chromium-headless-shell"], "in Chromium", () => {
    const chromium = (...flags: string[]): string =>
      execFileSync(
        find("chromium-headless-shell")!,
        ["--headless", "--no-sandbox", "--disable-gpu", `--user-data-dir=${file("profile")}`, ...flags, `file://${page}`],
        {
          encoding: "utf8",
          stdio: ["ignore", "pipe", "ignore"],
          timeout: 250_000,
        },
      );
    test("nothing of it runs, and it shows the verdict", () => {
      const dom = chromium("--dump-dom");
      expect(dom).toMatch(/<title>Encryption audit of .*FAIL<\/title>/);
      expect(dom).not.toMatch(/<script|<img/);
    });
    test("no line is wider than a telephone or a screen", () => {
      // The page itself has no script: a frame around it measures.
      const around = file("around.html");
      for (const width of [380, 1200]) {
        const body = readFileSync(page, "utf8").replace(/<meta http-equiv[^>]*>/, "");
        const probe = `<script>document.title = document.documentElement.scrollWidth + " of " + ${width}</script>`;
        writeFileSync(around, body.replace("<body>", `<body style="width:${width}px">`).replace("</body>", `${probe}</body>`));
        const dom = execFileSync(
          find("chromium-headless-shell")!,
          [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            `--user-data-dir=${file("profile")}`,
            `--window-size=${width},900`,
            "--dump-dom",
            `file://${around}`,
          ],
          { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"], timeout: 250_000 },
        );
        const [wide, of] = /<title>([0-9]+) of ([0-9]+)/.exec(dom)!.slice(1).map(Number);
        expect(wide! <= Math.max(of!, 500)).toBe(true);
      }
    });
  });
});

describe("the annotated capture", () => {
  const marked = file("marked.pcapng");
  test("is written", () => expect(audit(capture, "--inventory", inventory, "-w", marked).code).toBe(2));
  describeWith(["tshark"], "in tshark", () => {
    test("frame.comment finds exactly what leaked", () => {
      const out = execFileSync(
        find("tshark")!,
        ["-r", marked, "-Y", 'frame.comment contains "LEAK"', "-T", "fields", "-e", "frame.number", "-e", "frame.comment"],
        {
          encoding: "utf8",
          stdio: ["ignore", "pipe", "ignore"],
        },
      );
      const lines = out.trim().split("\n");
      expect(lines).toHaveLength(40);
      expect(lines.every((l) => /^[0-9]+\tLEAK (POD_TO_POD|ICMP_QUOTE) cause=[A-Z_]+$/.test(l))).toBe(true);
      expect(lines.filter((l) => /^(7[5-9]|8[01])\tLEAK POD_TO_POD cause=ROUTE_BYPASS/.test(l))).toHaveLength(7);
    });
  });
});

describe("saved captures", () => {
  test("JSON has every part of the report", () => {
    const r = JSON.parse(audit(capture, "--inventory", inventory, "-o", "json").out) as Record<string, unknown>;
    expect(r).toMatchObject({ verdict: "FAIL", exitCode: 2, exposed: { flows: 16, seconds: 7 }, plain: { packets: 35, bytes: 10_287 } });
    expect((r.pairs as { causes: string[] }[])[0]!.causes).toEqual(["TUNNEL_NOT_UP", "OVERLAY_BYPASS", "FAMILY_GAP", "ROUTE_BYPASS"]);
    expect((r.preconditions as unknown[]).length).toBe(9);
  });
  test("the documentation names every field of the JSON", () => {
    const { canary: own } = provable;
    const text = audit(capture, "--inventory", file("own.json", JSON.stringify({ ...document, canary: own })), "-o", "json").out;
    const section = /## As JSON([^]*?)\n## /.exec(readFileSync(new URL("../../docs/audit.md", import.meta.url), "utf8"))![1]!;
    const named = new Set([...section.matchAll(/`([A-Za-z]+)(?:\[\])?`/g)].map((x) => x[1]!));
    const unnamed = new Set<string>();
    JSON.parse(text, function (this: unknown, key: string, value: unknown) {
      if (!Array.isArray(this) && key !== "" && !named.has(key)) unnamed.add(key);
      // Of maps the keys are data; what is in a canary the inventory's table has.
      return value;
    });
    const data = new Set([
      ...Object.keys((JSON.parse(text) as { classes: object }).classes),
      ...Object.keys(own!),
      "path",
      "to",
      "sent",
      "received",
      "what",
      "seen",
      "needed",
    ]);
    expect([...unnamed].filter((k) => !data.has(k))).toEqual([]);
  });
  test.for<[string, string[], RegExp]>([
    ["an option of a host with captures", [capture, "--inventory", inventory, "--canary", "10.0.0.1"], /Cannot use --canary in an audit of captures/],
    ["--save with captures, which are kept already", [capture, "--inventory", inventory, "--save", "x"], /Cannot use --save in an audit of captures/],
    ["an inventory without captures", ["--inventory", inventory], /Cannot use --inventory in an audit of the lab/],
    ["--pod-cidr without --host", ["--pod-cidr", "10.0.0.0/8"], /Cannot use --pod-cidr in an audit of the lab/],
    ["a format that is none", [capture, "--inventory", inventory, "-o", "yaml"], /yaml/],
    ["no inventory", [capture], /without an inventory/],
    ["no such capture", ["/nowhere.pcap", "--inventory", inventory, "-o", "json"], /nowhere/],
  ])("exit code 1, and nothing on standard output: %s", ([, args, message]) => {
    expect(audit(...args)).toMatchObject({ code: 1, out: "", err: expect.stringMatching(message) });
  });
  test("of two nodes: each packet once, the other confirms it", () => {
    const r = JSON.parse(audit(`node-a=${capture}`, `node-b=${capture}`, "--inventory", inventory, "-o", "json").out) as {
      plain: unknown;
      causes: { flowList: { confirmed: number; packets: number }[] }[];
    };
    expect(r.plain).toEqual({ packets: 35, bytes: 10_287 });
    expect(r.causes.flatMap((c) => c.flowList).every((f) => f.confirmed === f.packets)).toBe(true);
  });
  test("what cannot be checked can be vouched for, by name", () => {
    const clean = file("clean.pcap");
    const bytes = readFileSync(capture);
    // Frames 20 to 25 and 59, 60: a handshake, data, neighbour discovery.
    const parts = [bytes.subarray(0, 24)];
    for (let at = 24, n = 1; at < bytes.length; n++) {
      const end = at + 16 + bytes.readUInt32LE(at + 8);
      if ((n >= 20 && n <= 25) || n === 59 || n === 60) parts.push(bytes.subarray(at, end));
      at = end;
    }
    writeFileSync(clean, Buffer.concat(parts));
    expect(audit(clean, "--inventory", inventory)).toMatchObject({ code: 3, out: expect.stringMatching(/P1, P3, P7, P8, P9 do not hold/) });
    const trusted = audit(clean, "--inventory", inventory, "--trust", "P1,P3,P7,P8,P9");
    expect(trusted).toMatchObject({ code: 0, out: expect.stringMatching(/taken on trust: P1, P3, P7,\s+P8, P9/) });
    expect(audit(clean, "--inventory", inventory, "--trust", "P10")).toMatchObject({ code: 1, err: expect.stringMatching(/Cannot vouch for "P10"/) });
    const { canary } = provable;
    expect(audit(clean, "--inventory", file("canary.json", JSON.stringify({ ...document, canary })), "--trust", "P1,P3,P7,P8").code).toBe(0);
  });
  test("a NAT table from a file", () => {
    expect(audit(capture, "--inventory", inventory, "--conntrack", `node-a=${file("nf", "")}`).out.replace(/\s+/g, " ")).toMatch(
      /NAT tables of 1 nodes/,
    );
    expect(audit(capture, "--inventory", inventory, "--conntrack", "nf").err).toMatch(/it must be NODE=FILE/);
  });
});
