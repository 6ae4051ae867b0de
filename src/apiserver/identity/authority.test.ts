import { X509Certificate } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openAuthority } from "./authority.ts";
import { newKeyPair, privateKeyPem } from "./certificate.ts";
import { pinOf } from "./token.ts";

let directory: string;
beforeEach(() => void (directory = mkdtempSync(join(tmpdir(), "tortie-pki-"))));
afterEach(() => rmSync(directory, { recursive: true, force: true }));
const pki = (name: string): string => join(directory, "pki", name);
const open = (create = true): ReturnType<typeof openAuthority> => openAuthority(directory, Date.now, { create });

test("the first start makes an authority, its key for the owner alone; the next one finds it", () => {
  expect(() => open(false)).toThrow(`Cannot issue a certificate: there is no certificate authority in "${join(directory, "pki")}"`);
  const made = open();
  expect([statSync(join(directory, "pki")), statSync(pki("ca.key"))].map((s) => s.mode & 0o777)).toEqual([0o700, 0o600]);
  expect(open(false).caCertificate).toBe(made.caCertificate);
  expect(readdirSync(join(directory, "pki")).toSorted()).toEqual(["ca.crt", "ca.key"]);
});

test("an authority whose key is missing is not replaced by another", () => {
  const { caCertificate } = open();
  rmSync(pki("ca.key"));
  expect(() => open()).toThrow("ca.crt is there, and ca.key is not");
  expect(readFileSync(pki("ca.crt"), "utf8")).toBe(caCertificate);
});

test("a certificate that is missing is made anew from the key: what was signed before holds", () => {
  const before = open();
  const leaf = new X509Certificate(before.issue({ commonName: "eve" }, "client").certificate);
  rmSync(pki("ca.crt"));
  const { caCertificate } = open();
  expect(pinOf(caCertificate)).toBe(pinOf(before.caCertificate));
  expect(leaf.checkIssued(new X509Certificate(caCertificate))).toBe(true);
  expect(leaf.verify(new X509Certificate(caCertificate).publicKey)).toBe(true);
});

test.for([
  { name: "a key that is none", file: "ca.key", text: "x", why: "ca.key holds no private key (PEM)" },
  { name: "a certificate that is none", file: "ca.crt", text: "x", why: "ca.crt holds no certificate (PEM)" },
  { name: "the key of another", file: "ca.key", text: privateKeyPem(newKeyPair().privateKey), why: "ca.crt and ca.key do not belong together" },
  { name: "a folder", file: "ca.key", text: undefined, why: "illegal operation on a directory" },
])("$name is refused with a sentence", ({ file, text, why }) => {
  open();
  rmSync(pki(file));
  if (text === undefined) mkdirSync(pki(file));
  else writeFileSync(pki(file), text);
  expect(() => open()).toThrow(`Cannot read the certificate authority in "${join(directory, "pki")}": ${why}`);
});
