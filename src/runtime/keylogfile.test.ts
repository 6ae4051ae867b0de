import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { utf8 } from "../base/bytes.ts";
import { openKeylogFile } from "./keylogfile.ts";

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

  test("refuses a symbolic link and a device", () => {
    symlinkSync(join(dir, "elsewhere"), join(dir, "link"));
    expect(() => openKeylogFile(join(dir, "link"))).toThrow(/ELOOP/);
    expect(() => openKeylogFile("/dev/null")).toThrow(/no regular file/);
  });
});
