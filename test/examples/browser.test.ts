// The protocol half in a browser: examples/two-tunnels.ts bundled with nothing of Node in it, and run where nothing of Node is.
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createContext, runInContext } from "node:vm";
import { describe, expect, test } from "vitest";
import { describeWith, find } from "../peers.ts";
import { bundle } from "./chromium.ts";

const EXPECTED = [
  "a → b: message of type 1, 148 bytes",
  "b → a: message of type 2, 92 bytes",
  "a → b: message of type 4, 80 bytes",
  "arrived: hello",
];

describe("a bundle for a browser", () => {
  test("two tunnels talk in a JavaScript context that has nothing of Node's", () => {
    const said: string[] = [];
    // What the language itself does not have, and every browser does.
    const browser = { console: { log: (line: string) => said.push(line) }, crypto: globalThis.crypto, performance, TextEncoder, TextDecoder };
    const context = createContext(browser, { codeGeneration: { strings: false, wasm: false } });
    expect(runInContext("[typeof process, typeof Buffer, typeof require, typeof setTimeout, typeof global]", context)).toEqual(
      Array(5).fill("undefined"),
    );
    runInContext(bundle(`import "./examples/two-tunnels.ts"`), context);
    expect(said).toEqual(EXPECTED);
  });

  test.each(["tortie/wireguard", "tortie/crypto/noble", "tortie/packet", "tortie/api", "tortie/capture", "tortie/client"])(
    "%s bundles as it is",
    (name) => {
      expect(bundle(`export * from "${name}"`).length).toBeGreaterThan(1000);
    },
  );

  test.each(["tortie/crypto", "tortie/runtime", "tortie/uapi"])("%s is refused: it is for Node", (name) => {
    expect(() => bundle(`export * from "${name}"`)).toThrow('Could not resolve "node:');
  });
});

describeWith(["chromium-headless-shell"], "a real browser", () => {
  test("two tunnels talk in Chromium", () => {
    const directory = mkdtempSync(join(tmpdir(), "tortie-test-"));
    try {
      const page = join(directory, "page.html");
      const show = `console.log = (line) => document.body.append(Object.assign(document.createElement("p"), { textContent: line }));
        window.onerror = (message) => console.log("failed: " + message);`;
      writeFileSync(join(directory, "bundle.js"), bundle(`import "./examples/two-tunnels.ts"`));
      writeFileSync(page, `<!doctype html><meta charset="utf-8"><body><script>${show}</script><script src="bundle.js"></script>`);
      const flags = ["--headless", "--no-sandbox", "--disable-gpu", `--user-data-dir=${join(directory, "profile")}`, "--dump-dom"];
      const dom = execFileSync(find("chromium-headless-shell")!, [...flags, `file://${page}`], {
        encoding: "utf8",
        stdio: ["ignore", "pipe", "ignore"],
        timeout: 200_000,
      });
      expect([...dom.matchAll(/<p>(.*?)<\/p>/g)].map((m) => m[1])).toEqual(EXPECTED);
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });
});
