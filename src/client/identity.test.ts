import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { authorityOf, newAuthority } from "../apiserver/identity/authority.ts";
import { identityIn } from "./identity.ts";

test("a renewed certificate is shown after a minute; half a renewal, or a missing file, leaves what was there", () => {
  const directory = mkdtempSync(join(tmpdir(), "tortie-identity-"));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const now = Date.now();
  const authority = authorityOf(newAuthority(now), () => now);
  const [first, second] = ["a", "b"].map((commonName) => authority.issue({ commonName }, "client"));
  const [certFile, keyFile] = [join(directory, "cert"), join(directory, "key")];
  const write = (cert: string, key: string): void => {
    writeFileSync(certFile, cert);
    writeFileSync(keyFile, key);
  };
  write(first!.certificate, first!.key);
  let clock = 0;
  const shown = identityIn({ url: "https://h", certFile, keyFile }, () => clock);
  const after = (ms: number): ReturnType<typeof shown> => {
    clock += ms;
    return shown();
  };
  const [old, fresh] = [first!, second!].map(({ certificate, key }) => ({ cert: certificate, key }));
  expect(shown()).toEqual(old);
  write(second!.certificate, first!.key);
  expect(after(60_001)).toEqual(old);
  rmSync(keyFile);
  expect(after(60_001)).toEqual(old);
  // One file with both, as an agent has it.
  const both = second!.certificate + second!.key;
  write(both, both);
  expect(after(59_000)).toEqual(old);
  expect(after(2_000)).toEqual({ cert: both, key: both });
  write(second!.certificate, second!.key);
  expect(after(60_001)).toEqual(fresh);
  expect(identityIn({ url: "https://h", cert: "c", key: "k" })()).toEqual({ cert: "c", key: "k" });
});
