import { chmodSync, chownSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { utf8 } from "../base/bytes.ts";
import { silent } from "../base/log.ts";
import type { KeylogListener } from "../uapi/types.ts";
import { logToFile, openKeylogFile } from "./keylogfile.ts";

describe("openKeylogFile()", () => {
  let dir = "";
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), "tortie-keylog-"));
  });
  afterEach(() => rmSync(dir, { recursive: true }));

  test("makes a file that only its owner reads, and appends", () => {
    const path = join(dir, "keys");
    for (const text of ["a\n", "b\n"]) {
      const file = openKeylogFile(path);
      file.write(utf8(text));
      file.close();
    }
    expect(readFileSync(path, "utf8")).toBe("a\nb\n");
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  test.for([0o640, 0o604, 0o620])("refuses a file of mode %o", (mode) => {
    const path = join(dir, "keys");
    writeFileSync(path, "");
    chmodSync(path, mode);
    expect(() => openKeylogFile(path)).toThrow(/others than its owner/);
  });

  test.skipIf(process.geteuid!() !== 0)("refuses another user's file", () => {
    const path = join(dir, "keys");
    writeFileSync(path, "", { mode: 0o600 });
    chownSync(path, 65534, 65534);
    expect(() => openKeylogFile(path)).toThrow(/another user's/);
  });

  test("refuses a symbolic link and a device", () => {
    symlinkSync(join(dir, "elsewhere"), join(dir, "link"));
    expect(() => openKeylogFile(join(dir, "link"))).toThrow(/ELOOP/);
    expect(() => openKeylogFile("/dev/null")).toThrow(/no regular file/);
  });
});

describe("logToFile()", () => {
  const path = join(tmpdir(), `tortie-keylogfile-${process.pid}`);
  afterEach(() => rmSync(path, { force: true }));
  /** A device that says what it was asked for, and when the listener went. */
  const device = () => {
    const asked: KeylogListener[] = [];
    let gone = 0;
    return { asked, gone: () => gone, keylog: (l: KeylogListener) => (asked.push(l), () => void gone++) };
  };

  test("writes lines and wipes them, until it is ended", () => {
    const d = device();
    const peers = [new Uint8Array(32)];
    const end = logToFile({ path, peers }, d, silent);
    const lines = utf8("A = B\n");
    d.asked[0]!.write(lines);
    end();
    end();
    expect([readFileSync(path, "utf8"), lines.every((b) => b === 0), d.asked[0]!.peers]).toEqual(["A = B\n", true, peers]);
    expect(d.gone()).toBeGreaterThan(0);
  });
  test("ends by itself when its time is over", async () => {
    const d = device();
    logToFile({ path, seconds: 0.01 }, d, silent);
    while (d.gone() === 0) await new Promise((r) => setTimeout(r, 5));
    expect(d.gone()).toBe(1);
  });
  test("closes its file when the device ends it", () => {
    const d = device();
    const said: string[] = [];
    logToFile({ path, seconds: 1000 }, d, { ...silent, error: (m) => void said.push(m) });
    d.asked[0]!.ended!();
    d.asked[0]!.write(utf8("late\n"));
    expect([readFileSync(path, "utf8"), said.length]).toEqual(["", 1]);
  });
});
