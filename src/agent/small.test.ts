import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync, chmodSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { toBase64 } from "../base/bytes.ts";
import { nobleCrypto } from "../crypto/noble.ts";
import type { Address, Link } from "../sys/ip.ts";
import { firstFound } from "./autodetect.ts";
import { seconds, tableIndex, wireguardMark } from "./calc/config.ts";
import { loadKey, makeKey, publicKeyOf, removeKey, saveKey } from "./drivers/key.ts";
import { Ledger } from "./drivers/ledger.ts";
import { exitStatus, trafficTo } from "./exec.ts";
import { argumentsOf, askedOf, captureOf, queryOfCapture } from "../api/nodecapture.ts";
import { keylogWarnings } from "./report.ts";
import { parseOpen } from "./open.ts";
import { tunnelHandle, vxlanMac } from "./tunnels.ts";

function directory(): string {
  const made = mkdtempSync(join(tmpdir(), "tortie-agent-"));
  onTestFinished(() => rmSync(made, { recursive: true }));
  return made;
}

describe("parseOpen()", () => {
  const good = { type: "exec", namespace: "default", pod: "pod1", command: ["sh"], tty: true, stdin: true };
  test("takes what the server sends", () =>
    expect(parseOpen(JSON.stringify(good))).toEqual({
      type: "exec",
      namespace: "default",
      pod: "pod1",
      command: ["sh"],
      tty: true,
      stdin: true,
      stdout: true,
      stderr: true,
    }));
  test("a log too", () => {
    const log = { type: "log", namespace: "default", pod: "pod1", follow: true, tailLines: 5 };
    expect(parseOpen(JSON.stringify(log))).toEqual(log);
  });
  test.for([
    JSON.stringify({ type: "log", namespace: "default", pod: "..", follow: true }),
    JSON.stringify({ type: "log", namespace: "default", pod: "pod1", tailLines: "5" }),
    "{",
    "null",
    "[]",
    JSON.stringify({ ...good, type: "capture" }),
    JSON.stringify({ ...good, pod: "../../etc/passwd" }),
    JSON.stringify({ ...good, pod: ".." }),
    JSON.stringify({ ...good, namespace: "a/b" }),
    JSON.stringify({ ...good, namespace: 5 }),
    JSON.stringify({ ...good, command: [] }),
    JSON.stringify({ ...good, command: "sh" }),
    JSON.stringify({ ...good, command: ["a\0b"] }),
  ])("refuses %s", (text) => expect(parseOpen(text)).toBeTypeOf("string"));
});

describe("a capture on a node", () => {
  const good = { interfaces: ["eth0", "any"], filter: "udp port 51820", snaplenData: 96 };
  test("with keys only when asked for", () => {
    expect(captureOf(askedOf(new URLSearchParams(queryOfCapture({ ...good, keys: true }))))).toEqual({ ...good, keys: true });
    expect(argumentsOf({ ...good, keys: true }, undefined)).toContain("--keys");
    expect(argumentsOf(good, undefined)).not.toContain("--keys");
    expect(captureOf(askedOf(new URLSearchParams("interface=eth0&keys=1")))).toMatch(/keys/);
  });
  test("goes the whole way: query, order, arguments", () => {
    const asked = captureOf(askedOf(new URLSearchParams(queryOfCapture(good))));
    expect(asked).toEqual(good);
    expect(parseOpen(JSON.stringify({ type: "capture", ...good }))).toEqual({ type: "capture", ...good });
    expect(argumentsOf(good, trafficTo({ url: "https://10.0.0.1:6443" })).join(" ")).toBe(
      "capture -i eth0 -i any --snaplen-data 96 -w - --quiet --until-input-ends --filter (udp port 51820) and not (host 10.0.0.1 and tcp port 6443)",
    );
  });
  test.for([
    {},
    { interfaces: [] },
    { interfaces: ["-w"] },
    { interfaces: ["a b"] },
    { interfaces: ["../x"] },
    { interfaces: ["abcdefghijklmnop"] },
    { interfaces: Array.from({ length: 33 }, () => "a") },
    { filter: "\0" },
    { filter: "x".repeat(5000) },
    { snaplen: 0 },
    { snaplen: "96" },
    { bufferSize: 1e9 },
    { snaplenData: 1.5 },
    { keys: false },
    { keys: "true" },
  ])("refuses %j", (bad) =>
    expect(parseOpen(JSON.stringify({ type: "capture", ...(Object.keys(bad).length > 0 ? good : {}), ...bad }))).toBeTypeOf("string"),
  );
});

test("a key log is said to who looks at the cluster", () => {
  expect(keylogWarnings("w1", undefined)).toEqual([]);
  expect(keylogWarnings("w1", {})).toEqual([]);
  expect(keylogWarnings("w1", { keylog: { readers: 1, records: 7 } })).toEqual(["key log on: the WireGuard device of w1 gives its keys to 1 reader"]);
});

describe("key files", () => {
  test("a key comes back, and nobody else can read it", () => {
    const file = join(directory(), "keys", "wg.key");
    const key = makeKey();
    saveKey(file, key);
    expect(loadKey(file)).toEqual(key);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(statSync(join(file, "..")).mode & 0o777).toBe(0o700);
    removeKey(file);
    expect(loadKey(file)).toBeUndefined();
  });
  test("one that others can read is refused, and what it holds is not said", () => {
    const file = join(directory(), "wg.key");
    const text = toBase64(makeKey());
    writeFileSync(file, text);
    chmodSync(file, 0o644);
    expect(() => loadKey(file)).toThrow(/others than its owner/);
    chmodSync(file, 0o600);
    expect(loadKey(file)).toBeDefined();
    writeFileSync(file, `${text}x`);
    expect(() => loadKey(file)).toThrow(expect.not.objectContaining({ message: expect.stringContaining(text) as string }) as Error);
  });
  test("keys are clamped, and their public halves are X25519's", () => {
    const key = makeKey();
    expect([key[0]! & 7, key[31]! & 192]).toEqual([0, 64]);
    expect(publicKeyOf(key)).toEqual(nobleCrypto.publicKey(key));
  });
});

test("the ledger survives, and a damaged one is empty", () => {
  const file = join(directory(), "ledger.json");
  const ledger = new Ledger(file);
  ledger.add("wireguard.cali", 1);
  ledger.add("wg9", 1);
  expect(new Ledger(file).entries).toEqual({ interfaces: ["wireguard.cali", "wg9"], tables: [1] });
  ledger.keepOnly(["wg9"], [1]);
  expect(JSON.parse(readFileSync(file, "utf8"))).toEqual({ interfaces: ["wg9"], tables: [1] });
  writeFileSync(file, '{"interfaces":["a"],"tables":[254]}');
  expect(new Ledger(file).entries.tables).toEqual([]);
  writeFileSync(file, "{");
  expect(new Ledger(file).entries).toEqual({ interfaces: [], tables: [] });
});

test("firstFound() takes the first address that looks physical", () => {
  const link = (name: string, kind?: string, up = true): Link => ({ name, up, mtu: 1500, kind, mac: undefined, data: {} });
  const address = (dev: string, text: string, scope = "global"): Address => ({ dev, address: text, prefix: 24, scope });
  const links = [
    link("lo"),
    link("cali123", "veth"),
    link("docker0", "bridge"),
    link("wg7", "tun"),
    link("eth0", undefined, false),
    link("ens5", "veth"),
  ];
  const addresses = [...links.map((l, i) => address(l.name, `10.0.${i}.1`)), address("ens5", "169.254.0.1", "link")];
  expect(firstFound(links, addresses)).toBe("10.0.5.1/24");
  expect(firstFound(links.slice(0, 5), addresses)).toBeUndefined();
});

test("small rules of configuration", () => {
  expect(["0s", "25s", "1m30s", "1.5h", "100ms", "", "5", "x"].map(seconds)).toEqual([0, 25, 90, 5400, 0.1, undefined, undefined, undefined]);
  expect([0xffff0000, 0x1f, 0xfc000000].map(wireguardMark)).toEqual([0x200000, undefined, 0x80000000]);
  expect(tableIndex([{ min: 253, max: 255 }])).toBeUndefined();
  expect(exitStatus(3)).toMatchObject({ reason: "NonZeroExitCode", details: { causes: [{ reason: "ExitCode", message: "3" }] } });
  expect(tunnelHandle("vxlan", "n")).toBe("vxlan-tunnel-addr-n");
  expect(vxlanMac("k8s-w1")).toMatch(/^66(:[0-9a-f]{2}){5}$/);
  expect(vxlanMac("k8s-w1")).not.toBe(vxlanMac("k8s-w2"));
});
