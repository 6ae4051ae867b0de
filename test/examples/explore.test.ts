// Looking around in a capture in a real browser, through the package's public names: what the web UI's packets page needs, beside what Node says of the same file.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { makeCapture } from "../../bench/capturefile.ts";
import { toHex } from "../../src/base/bytes.ts";
import { bytesOf, textOf } from "../../src/capture/fixtures.cases.ts";
import { CaptureDocument, linesOf, parseKeyLog, readCapture, treeLines } from "../../src/capture/index.ts";
import { opensslCrypto } from "../../src/crypto/index.ts";
import { describeWith } from "../peers.ts";
import { bundle, Chromium, type Page, Site } from "./chromium.ts";

const POLICY = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; connect-src 'none'";
const PAGE = `<!doctype html><title>Explore</title><input type="file" id="file"><script src="page.js"></script>`;
/** Answers go to JSON on their way to the test. */
const PAGE_SCRIPT = `
  const worker = new Worker("explore.js");
  const waiting = new Map();
  let next = 0;
  globalThis.steps = [];
  worker.onmessage = ({ data }) => {
    if (data.id === undefined) return void steps.push(data);
    const { resolve, reject } = waiting.get(data.id);
    data.failed === undefined ? resolve(data.answer) : reject(new Error(data.failed + " " + data.hint));
  };
  worker.onerror = (e) => document.title = "failed: " + e.message;
  globalThis.ask = (ask, rest = {}) => new Promise((resolve, reject) => {
    waiting.set(++next, { resolve, reject });
    worker.postMessage({ id: next, ask, ...rest });
  });
  const hex = (bytes) => Array.from(bytes, (b) => b.toString(16).padStart(2, "0")).join("");
  globalThis.told = async (...args) => JSON.stringify(await ask(...args), (_, v) => typeof v === "bigint" ? String(v) : v instanceof Uint8Array ? hex(v) : v);
  globalThis.saved = async (...args) => hex(new Uint8Array(await (await ask("export", ...args)).arrayBuffer()));
`;
const path = (name: string): string => new URL(`../captures/${name}`, import.meta.url).pathname;

/** The same in Node. */
function native(bytes: Uint8Array, keys: string): CaptureDocument {
  const read = (offset: number, length: number): Uint8Array => bytes.subarray(offset, offset + length);
  const document = new CaptureDocument({ crypto: opensslCrypto(), read, logs: [parseKeyLog(keys)] });
  document.learn(bytes);
  document.learned();
  document.open(bytes);
  document.opened();
  return document;
}

describeWith(["chromium-headless-shell"], "a capture is looked around in", () => {
  let site: Site;
  let browser: Chromium;
  beforeAll(async () => {
    site = await Site.serve({ "/": PAGE, "/page.js": PAGE_SCRIPT, "/explore.js": bundle(`import "./examples/browser/explore.js"`) }, POLICY);
    browser = new Chromium();
  });
  afterAll(async () => {
    await browser?.close();
    await site?.close();
  });
  async function opened(file: string, keys: string): Promise<{ page: Page; told: (ask: string, rest?: object) => Promise<never> }> {
    const page = await browser.open(site.url);
    await page.choose("#file", file);
    const told = async (ask: string, rest: object = {}): Promise<never> =>
      JSON.parse((await page.evaluate(`told(${JSON.stringify(ask)}, ${JSON.stringify(rest)})`)) as string) as never;
    await page.evaluate(
      `ask("open", { file: document.getElementById("file").files[0], keys: ${JSON.stringify(keys)} }).then((a) => globalThis.opened = a)`,
    );
    return { page, told };
  }

  test.for([
    { name: "wggo-psk-v4.pcap", keys: "wggo-psk-v4.initiator.keys" },
    { name: "leak-nodeA-rich.pcapng", keys: "leak.nodeA.keys" },
    { name: "wggo-rekey-any-sll2.pcap", keys: undefined },
  ])("$name: rows, trees, bytes, sessions, conversations are those of Node", async ({ name, keys }) => {
    const log = keys === undefined ? "" : textOf(keys);
    const own = native(bytesOf(name), log);
    const { page, told } = await opened(path(name), log);
    const rows: { number: number; time: string; class: string; outer: object; inner: object[] }[] = await told("rows", { from: 0, to: 1e9 });
    expect(rows).toEqual(
      Array.from({ length: own.length }, (_, i) => ({ number: i, time: String(own.time(i)), class: own.classOf(i), ...own.look(i).lines })),
    );
    expect(await told("rows", { from: own.length - 3, to: own.length + 5 })).toEqual(rows.slice(-3));
    for (let i = 0; i < own.length; i += 7) {
      const { tree, panes }: { tree: Parameters<typeof treeLines>[0]; panes: { name: string; bytes: string }[] } = await told("packet", {
        number: i,
      });
      expect(treeLines(tree)).toEqual(treeLines(own.look(i).tree));
      expect(panes).toEqual(own.look(i).panes.map((p) => ({ name: p.name, bytes: toHex(p.bytes) })));
    }
    const sessions: { number: number; marks: object[] }[] = await told("sessions");
    expect(sessions.map((s) => [s.number, s.marks.length])).toEqual(own.sessions.map((s) => [s.number, own.marks.of(s.number).length]));
    const conversations: { protocol: string; ends: { packets: number }[] }[] = await told("conversations");
    const udp = conversations.filter((c) => c.protocol === "ip" && "inside" in c && !c.inside).flatMap((c) => c.ends);
    expect(udp.reduce((n, e) => n + e.packets, 0)).toBeGreaterThanOrEqual(rows.filter((r) => r.class !== "other").length);
    // No file leaves the page, and none could.
    await expect(page.evaluate(`fetch("/", { method: "POST", body: "x" })`)).rejects.toThrow("Failed to fetch");
  });

  test("a filter is completed, searched for, refused with its place; what it finds is exported with keys, without, or only the inside", async () => {
    const name = "wggo-psk-v4.pcap";
    const keys = textOf("wggo-psk-v4.initiator.keys");
    const { page, told } = await opened(path(name), keys);
    const { choices }: { choices: { text: string }[] } = await told("complete", { filter: "icmp.ty", caret: 7 });
    expect(choices.map((c) => c.text)).toContain("icmp.type");
    expect(await told("search", { filter: "icmp || wg.type < 4" })).toEqual({ matches: 12 });
    const rows: { number: number }[] = await told("rows", { from: 0, to: 1000 });
    const numbers = rows.map((r) => r.number);
    const own = native(bytesOf(name), keys);
    own.search("icmp || wg.type < 4");
    while (own.searchOn());
    expect(numbers).toEqual(Array.from({ length: own.filter!.matches.length }, (_, i) => own.filter!.matches.at(i)));
    await expect(told("search", { filter: "icmp.typ == 1" })).rejects.toThrow(/icmp\.typ/);

    const saved = async (secrets: string): Promise<Uint8Array> =>
      Buffer.from((await page.evaluate(`saved({ numbers: ${JSON.stringify(numbers)}, secrets: "${secrets}" })`)) as string, "hex");
    const withKeys = native(await saved("keys"), "");
    expect(withKeys.length).toBe(numbers.length);
    expect(withKeys.sessions.map((s) => s.counts.toResponder.decrypted + s.counts.toInitiator.decrypted)).toEqual([10]);
    const without = readCapture(await saved("none"));
    expect([without.packets.length, without.secrets]).toEqual([numbers.length, []]);
    const inner = readCapture(await saved("inner")).packets;
    expect(inner.map((p) => toHex(p.data))).toEqual(
      numbers.flatMap((n) => own.look(n).tracked.messages.flatMap((m) => (m.opened ? [toHex(m.opened.bytes)] : []))),
    );
    expect(linesOf(own.look(numbers.at(-1)!).tracked).inner[0]!.protocol).toBe("ICMP");
  });

  test("a large file answers while it is opened, and at any place once it is", async () => {
    const file = join(browser.directory, "large.pcap");
    makeCapture(file, 20_000, 1420);
    const keys = readFileSync(`${file}.keys`, "utf8");
    const { page, told } = await opened(file, keys);
    const steps = (await page.evaluate("steps")) as { doing: string; done: number }[];
    expect(steps.filter((s) => s.doing === "learning").at(-1)).toEqual({ doing: "learning", done: 1 });
    expect(steps.length).toBeGreaterThan(40);
    for (const from of [0, 19_000, 10_000, 9_990]) {
      const rows: { number: number; inner: object[] }[] = await told("rows", { from, to: from + 40 });
      expect(rows.map((r) => r.number)).toEqual(Array.from({ length: 40 }, (_, i) => from + i));
      expect(rows.at(-1)!.inner.length).toBe(1);
    }
    // A file that was cut meanwhile: the packet is empty, and says so.
    writeFileSync(file, "");
    await expect(told("rows", { from: 5000, to: 5001 })).rejects.toThrow();
  });
});
