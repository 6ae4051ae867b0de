// Captures opened in a browser beside Node: `npx tsx bench/browser.ts [--rounds 5] [--packets 100000]`, after `npm run build`. Both read one file of real
// data messages in turn, on one thread: a worker of headless Chromium with our WebAssembly, the same with noble alone, and this process natively. From the
// first byte of the file to the last inner packet, both passes counted.
import { createReadStream, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { analyse } from "../src/capture/analysis.ts";
import { parseKeyLog } from "../src/capture/keylog.ts";
import { readStream } from "../src/capture/stream.ts";
import { batchOpener } from "../src/crypto/batchopener.ts";
import { nodeCrypto } from "../src/crypto/node.ts";
import { bundle, Chromium, type Page, Site } from "../test/examples/chromium.ts";
import { find } from "../test/peers.ts";
import { makeCapture } from "./capturefile.ts";
import { busyShare } from "./processes.ts";
import { MACHINE } from "./report.ts";
import { median, spread } from "./statistics.ts";

const INNER = 1420;

const WORKER = `
  import { analyse, parseKeyLog, readStream } from "tortie/capture";
  import { nobleCrypto as crypto, wasmOpener } from "tortie/crypto/noble";
  onmessage = ({ data }) => open(data).then(postMessage, (e) => postMessage({ failed: String(e) }));
  async function open({ capture, keys, wasm }) {
    const logs = [parseKeyLog(await keys.text())];
    const opener = wasm ? { opener: wasmOpener(crypto) } : {};
    const began = performance.now();
    let opened = 0;
    await analyse(() => readStream(capture.stream()), { crypto, logs, ...opener }, (t) => {
      for (const m of t.messages) if (m.opened) opened++;
    });
    return { opened, seconds: (performance.now() - began) / 1000 };
  }`;
const PAGE = `<!doctype html><input type="file" id="capture" /><input type="file" id="keys" /><script src="page.js"></script>`;
const SCRIPT = `
  const file = (id) => document.getElementById(id).files[0];
  const run = (wasm) => new Promise((resolve, reject) => {
    const worker = new Worker("worker.js");
    worker.onerror = (e) => reject(new Error(e.message));
    worker.onmessage = ({ data }) => (worker.terminate(), data.failed ? reject(new Error(data.failed)) : resolve(data));
    worker.postMessage({ capture: file("capture"), keys: file("keys"), wasm });
  });`;

type Result = { readonly opened: number; readonly seconds: number };

async function natively(path: string): Promise<Result> {
  const logs = [parseKeyLog(readFileSync(`${path}.keys`, "utf8"))];
  const opener = batchOpener();
  const began = performance.now();
  let opened = 0;
  await analyse(
    () => readStream(createReadStream(path, { highWaterMark: 1 << 20 })),
    { crypto: nodeCrypto, logs, opener },
    (t) => {
      for (const m of t.messages) if (m.opened) opened++;
    },
  );
  opener.wipe();
  return { opened, seconds: (performance.now() - began) / 1000 };
}

export async function main(args: string[]): Promise<void> {
  const { values } = parseArgs({ args, options: { rounds: { type: "string", default: "5" }, packets: { type: "string", default: "100000" } } });
  const [rounds, packets] = [Number(values.rounds), Number(values.packets)];
  if (!find("chromium-headless-shell"))
    return void process.stdout.write("Captures in a browser: skipped, there is no chromium-headless-shell here\n");
  const directory = mkdtempSync(join(tmpdir(), "tortie-bench-browser-"));
  const path = join(directory, "data.pcap");
  const site = await Site.serve({ "/": PAGE, "/page.js": SCRIPT, "/worker.js": bundle(WORKER) });
  const browser = new Chromium();
  try {
    makeCapture(path, packets, INNER);
    const page: Page = await browser.open(site.url);
    await page.choose("#capture", path);
    await page.choose("#keys", `${path}.keys`);
    const ways: Readonly<Record<string, () => Promise<Result>>> = {
      "Node, natively": () => natively(path),
      "Chromium, WebAssembly": async () => (await page.evaluate("run(true)")) as Result,
      "Chromium, noble alone": async () => (await page.evaluate("run(false)")) as Result,
    };
    const rates = Object.fromEntries(Object.keys(ways).map((name) => [name, [] as number[]]));
    const busy: number[] = [];
    for (let round = 0; round < rounds; round++) {
      busy.push(await busyShare(500));
      for (const [name, run] of Object.entries(ways)) {
        const { opened, seconds } = await run();
        if (opened !== packets) throw new Error(`${name}: ${opened} of ${packets} packets opened`);
        rates[name]!.push(packets / seconds / 1000);
      }
    }
    const { product } = (await browser.call("Browser.getVersion")) as { product: string };
    const native = median(rates["Node, natively"]!);
    process.stdout.write(
      `${packets} data messages with inner packets of ${INNER} bytes, ${(statSync(path).size / 1e6).toFixed(0)} MB; ${rounds} interleaved rounds; ${MACHINE}, ${product}. ` +
        `Busy with other things before each round: ${busy.map((b) => `${(100 * b).toFixed(0)} %`).join(", ")}. Median (least .. most).\n\n` +
        `| one thread | 1,000 packets/s opened | of native |\n| --- | --- | --- |\n`,
    );
    for (const [name, all] of Object.entries(rates)) process.stdout.write(`| ${name} | ${spread(all, 0)} | ${(median(all) / native).toFixed(2)} |\n`);
  } finally {
    await browser.close();
    await site.close();
    rmSync(directory, { recursive: true, force: true });
  }
}

if (process.argv[1] === import.meta.filename) await main(process.argv.slice(2));
