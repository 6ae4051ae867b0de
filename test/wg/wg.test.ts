// Our wg beside the real one: the same words on the same device must give the same output, exit code and lines on the socket.
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { describeWith, find, TORTIE } from "../peers.ts";
import { CASES } from "./cases.ts";
import type { Said } from "./matrix.ts";

const here = (name: string): string => new URL(name, import.meta.url).pathname;

function askAll(): [Said, Said][] {
  const run = ["unshare", "-mn", "--propagation", "private", process.execPath, "--import", "tsx", here("matrix.ts"), find("wg")!, TORTIE];
  return JSON.parse(execFileSync(run[0]!, run.slice(1), { maxBuffer: 64 << 20, encoding: "utf8" })) as [Said, Said][];
}

/** Where ours differs on purpose, made equal. */
function aligned(said: Said, args: readonly string[]): Said {
  // Ours also knows + and - before an allowed IP (wireguard-tools of 2025).
  const stderr = said.stderr.replaceAll("[+|-]", "");
  // Ours switches a keepalive or a preshared key off that the file no longer has.
  const off = ["  persistent_keepalive_interval 0", `  preshared_key ${"00".repeat(32)}`];
  const sent = args[0] === "syncconf" ? said.sent.filter((l) => !off.includes(l)) : said.sent;
  return { ...said, stderr, sent };
}

describeWith(["wg"], "the real wg and ours say and send the same", () => {
  const able = process.getuid?.() === 0 && find("wg") !== undefined;
  const results = able ? askAll() : [];
  test.skipIf(!able).for(CASES.map((c, i) => [c.name, c.args, i] as const))("%s", ([, args, i]) => {
    const [real, ours] = results[i]!;
    expect(aligned(ours, args)).toEqual(aligned(real, args));
  });
});

describe("ours alone", () => {
  const directory = mkdtempSync(join(tmpdir(), "tortie-wg-"));
  symlinkSync(TORTIE, join(directory, "wg"));
  const wg = (args: readonly string[], input = ""): { stdout: string; stderr: string; status: number | null } =>
    spawnSync(process.execPath, [join(directory, "wg"), ...args], { encoding: "utf8", input });

  test.for([["version"], ["--version"], ["-v"]])("%s is one line: name, version, where it is from", (args) => {
    const { version } = JSON.parse(readFileSync(here("../../package.json"), "utf8")) as { version: string };
    expect(wg(args).stdout).toMatch(new RegExp(`^tortie\\S* v${version} - .+\n$`));
  });
  test("a name with a slash is no interface", () => {
    for (const args of [
      ["show", "../wg0"],
      ["set", "/tmp/x.sock", "listen-port", "1"],
    ])
      expect(wg(args)).toMatchObject({ stderr: `Unable to ${args[0] === "set" ? "modify" : "access"} interface: No such device\n`, status: 1 });
  });
  test("genkey is clamped, genpsk need not be, pubkey takes both", () => {
    for (let i = 0; i < 3; i++) {
      const key = Buffer.from(wg(["genkey"]).stdout, "base64");
      expect([key.length, key[0]! & 7, key[31]! & 0xc0]).toEqual([32, 0, 64]);
    }
    const psk = wg(["genpsk"]).stdout;
    expect(psk).toMatch(/^[A-Za-z0-9+/]{43}=\n$/);
    expect(wg(["pubkey"], psk).stdout).toMatch(/^[A-Za-z0-9+/]{43}=\n$/);
  });
  test("a malformed secret is not repeated", () => {
    const file = join(directory, "conf");
    const typo = `${"B".repeat(42)}*=`;
    for (const line of [`PrivateKey = ${typo}`, `PrivatKey = ${typo}`, `[Peer]\nPresharedKey = ${typo}`]) {
      writeFileSync(file, `[Interface]\n${line}\n`);
      const { stderr, status } = wg(["setconf", "wg0", file]);
      expect([stderr.includes(typo), stderr.includes("(hidden)"), status]).toEqual([false, true, 1]);
    }
  });
  test("allowed IPs with + and - change the list instead of replacing it", async () => {
    const { parseWords } = await import("../../src/cli/wg/config.ts");
    const words = (list: string): Promise<unknown> => parseWords(["peer", `${"A".repeat(43)}=`, "allowed-ips", list]);
    const ip = (...bytes: number[]): Uint8Array => new Uint8Array(bytes);
    expect(await words("+10.0.0.0/8,-11.0.0.0/8")).toMatchObject({
      peers: [
        {
          replaceAllowedIps: false,
          allowedIps: [
            { ip: ip(10, 0, 0, 0), prefix: 8 },
            { ip: ip(11, 0, 0, 0), prefix: 8, remove: true },
          ],
        },
      ],
    });
    expect(await words("10.0.0.0/8")).toMatchObject({ peers: [{ replaceAllowedIps: true }] });
  });
  test("syncconf clears what the file no longer has, and keeps the rest", async () => {
    const { difference } = await import("../../src/cli/wg/conf.ts");
    const key = (n: number): Uint8Array => new Uint8Array(32).fill(n);
    const known = { lastHandshakeSec: 0, lastHandshakeNsec: 0, txBytes: 0, rxBytes: 0, allowedIps: [] };
    const device = {
      listenPort: 1,
      fwmark: 0,
      peers: [
        { ...known, publicKey: key(1), presharedKey: key(9), persistentKeepalive: 25 },
        { ...known, publicKey: key(2), presharedKey: key(0), persistentKeepalive: 0 },
      ],
    };
    expect(difference({ replacePeers: true, peers: [{ publicKey: key(1) }, { publicKey: key(3) }] }, device)).toEqual({
      replacePeers: false,
      peers: [{ publicKey: key(2), remove: true }, { publicKey: key(1), presharedKey: key(0), persistentKeepalive: 0 }, { publicKey: key(3) }],
    });
  });
  test("help names every command and gives examples", () => {
    const help = wg(["help"]).stdout;
    for (const c of ["show", "showconf", "set", "setconf", "addconf", "syncconf", "genkey", "genpsk", "pubkey"]) expect(help).toContain(`\n  ${c}: `);
    expect(help).toContain("Examples:");
    expect(spawnSync(process.execPath, [TORTIE, "wg", "help"], { encoding: "utf8" }).stdout).toContain("Usage: tortie wg <cmd>");
  });
});
