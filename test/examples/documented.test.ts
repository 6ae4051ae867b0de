// Every command that the guides and `--help` print for captures is run as it is printed: in a directory that holds the files they name, on a machine of its own
// with an interface ens5, a device, a peer and traffic. What needs a cluster, a lab or a kernel's WireGuard must get as far as saying so.
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, expect, test } from "vitest";
import { eventually, Host } from "../device/host.ts";
import { newKey, publicOf, WG } from "../device/tunnel.ts";
import { describeRoot, find, tortie, TORTIE } from "../peers.ts";

const COMMANDS = ["capture", "inspect", "decrypt", "keylog", "audit", "view"];
const GUIDES = ["formats", "capture", "inspect", "audit", "keys", "view"];
const root = new URL("../../", import.meta.url).pathname;

/** Without what explains it, which stands behind two blanks. */
const command = (line: string): string => line.trim().split(/ {2,}/)[0]!;
const inHelp = (name: string): string[] => {
  const help = tortie(name, "--help");
  const block = help.slice(help.indexOf("\nExamples:\n") + 11);
  return block.slice(0, block.indexOf("\n\n")).split("\n").map(command);
};
/** Lines of blocks, and what tables name: but for those with a word to fill in. */
const inGuide = (name: string): string[] => {
  const text = readFileSync(`${root}docs/${name}.md`, "utf8");
  const lines = [...text.matchAll(/^ {4}((?:tortie|ssh) .*)$/gm)].map((m) => command(m[1]!));
  const words = [...text.matchAll(new RegExp(`\`(tortie (?:${COMMANDS.join("|")}) [^\`]+)\``, "g"))].map((m) => m[1]!);
  return [...lines, ...words.filter((w) => !/\b(IF|FILE|NODE|KEY)\b| -[wY]$| --format pcap$/.test(w))];
};
const printed = [...new Set([...COMMANDS.flatMap(inHelp), ...GUIDES.flatMap(inGuide)])];

/** What a command must end with: its exit code, and words where it can get no further here. The first that fits. */
const EXPECTED: readonly (readonly [RegExp, number | readonly number[], RegExp?])[] = [
  [/^(ssh|tortie view)/, 1, /standard output is not a terminal|there is no terminal/],
  [/--node|--all-nodes|--cluster/, 1, /API|cluster|kubeconfig/i],
  [/keylog --kernel.*--check/, [0, 2]],
  [/keylog --kernel/, [0, 1], /kernel|WireGuard|prob/i],
  [/^tortie (capture|keylog)/, 0],
  [/^tortie inspect broken/, 1, /damaged at byte/],
  [/^tortie inspect/, 0],
  // A static private key opens nothing, nor does a configuration with one.
  [/^tortie decrypt .*\/run\/tortie|wg showconf/, 2, /ephemeral/i],
  [/^tortie decrypt/, 0],
  [/^tortie audit --host/, [1, 3]],
  [/^tortie audit( --(duration|save|html).*)?$/, 1, /lab/],
  [/^tortie audit/, 2, /FAIL/],
];

test("there are examples, and each is of a kind that is known here", () => {
  expect(printed.length).toBeGreaterThan(45);
  for (const c of COMMANDS) expect(inHelp(c).length, c).toBeGreaterThan(3);
  expect(printed.filter((p) => !EXPECTED.some(([is]) => is.test(p)))).toEqual([]);
});

describeRoot("as they are printed", () => {
  const files = mkdtempSync(join(tmpdir(), "tortie-documented-"));
  const at = (name: string): string => join(files, name);
  const captured = (name: string): string => `${root}test/captures/${name}`;
  let host: Host;
  let peer: Host;
  let peerKey = "";

  beforeAll(async () => {
    for (const name of ["capture.pcapng", "wire.pcapng"]) copyFileSync(captured("leak-nodeA-rich.pcapng"), at(name));
    copyFileSync(captured("wggo-psk-v4.pcap"), at("capture.pcap"));
    for (const name of ["a.pcap", "b.pcap"]) copyFileSync(captured("leak-nodeA.pcap"), at(name));
    writeFileSync(at("wg.keys"), ["leak.nodeA.keys", "wggo-psk-v4.initiator.keys"].map((k) => readFileSync(captured(k), "utf8")).join(""), {
      mode: 0o600,
    });
    writeFileSync(at("broken.pcapng"), readFileSync(at("wire.pcapng")).subarray(0, 3000));
    writeFileSync(at("x.gz"), gzipSync(readFileSync(at("wire.pcapng"))));
    copyFileSync(captured("leak-inventory.json"), at("cluster.json"));
    writeFileSync(at("nf_conntrack.txt"), "");
    tortie("decrypt", at("capture.pcap"), "--keys", at("wg.keys"), "-q", "-w", at("open.pcapng"));
    mkdirSync(at("run1"));
    copyFileSync(at("wire.pcapng"), at("run1/wire-a.pcapng"));
    copyFileSync(at("cluster.json"), at("run1/inventory.json"));

    [host, peer] = [await Host.create(), await Host.create()];
    Host.join(host, "ens5", ["192.0.2.1/24"], peer, "ens5", ["192.0.2.2/24"]);
    const keys = [newKey(), newKey()] as const;
    peerKey = publicOf(keys[1]);
    for (const [h, name, own, other, n] of [
      [host, "wireguard.cali", keys[0], keys[1], 1],
      [peer, "wg0", keys[1], keys[0], 2],
    ] as const) {
      await h.device("tortie", name);
      const peerOf = ["peer", publicOf(other), "endpoint", `192.0.2.${3 - n}:51820`, "allowed-ips", "10.77.0.0/24"];
      h.run(WG, "set", name, "listen-port", "51820", "private-key", h.write("key", `${own}\n`), ...peerOf);
      h.run("ip", "addr", "add", `10.77.0.${n}/24`, "dev", name);
      h.run("ip", "link", "set", name, "up");
      // Directories that the examples name, which are this machine's own.
      h.run("mount", "-t", "tmpfs", "tmpfs", "/mnt");
      h.run("mkdir", "/mnt/bin");
      // A person would press Ctrl-C, a while after it began.
      const script = `#!/bin/sh\nexec timeout --preserve-status --foreground -s INT -k 60 $WAIT ${process.execPath} ${TORTIE} "$@"\n`;
      h.run("sh", "-c", `cat > /mnt/bin/tortie <<'END'\n${script}END\nchmod +x /mnt/bin/tortie; ln -s $(command -v ${WG}) /mnt/bin/wg`);
      h.run("mkdir", "-p", "/run/tortie/keys");
      h.write("tortie/keys/wireguard.cali.key", `${own}\n`);
      h.run("cp", "-r", files, "/mnt/files");
      h.run("mount", "-t", "tmpfs", "tmpfs", "/tmp");
      h.run("cp", "/mnt/files/wire.pcapng", "/tmp/");
    }
    await eventually(() => host.run("ping", "-c1", "-W1", "10.77.0.2"));
    host.spawn(["ping", "-q", "-i", "0.1", "10.77.0.2"]);
  });
  afterAll(async () => {
    await Promise.all([host?.close(), peer?.close()]);
    rmSync(files, { recursive: true });
  });

  test.each(printed)(
    "%s",
    async (line) => {
      const [, code, words] = EXPECTED.find(([is]) => is.test(line))!;
      if (line.includes("tshark") && !find("tshark")) return;
      const isLive = /^tortie (capture -i|keylog)/.test(line);
      const h = line.startsWith("tortie keylog") ? peer : host;
      const said = line.replaceAll("KEY", () => peerKey);
      const script = `rm -rf /mnt/here; cp -r /mnt/files /mnt/here; cd /mnt/here; PATH=/mnt/bin:$PATH; set -o pipefail; ${said}`;
      const run = async (wait: string): Promise<[number | null, string]> => {
        const running = h.spawn(["bash", "-c", script], { WAIT: wait, KUBECONFIG: "/nonexistent" });
        return [await running.exit, running.output()];
      };
      let [ended, output] = await run(isLive ? "4" : "300");
      // On a busy machine Ctrl-C came before it had begun.
      if (isLive && ended === 130) [ended, output] = await run("60");
      expect([ended, output]).toEqual([
        Array.isArray(code) ? expect.toSatisfy((c: number) => (code as readonly number[]).includes(c)) : code,
        words ? expect.stringMatching(words) : expect.any(String),
      ]);
      expect(output).not.toMatch(/\bundefined\b|\bNaN\b|\[object|^ +at .*:\d+:\d+|unknown option|--help explains/m);
    },
    600_000,
  );
});
