// Each precondition of a proof taken away where it is really made: by another capture of the same window on the same wires (a filter, a short snap length,
// a link left out, a cooked link type), by what happens to a file (cut off, a packet gone, another clock), or on the host while it is audited. XDP (P7) and
// a missing canary (P9) are in host.test.ts, a killed capture (P1) in test/lab/audit.test.ts.
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Spawned } from "../device/host.ts";
import { describeRoot, describeWith, TORTIE } from "../peers.ts";
import { Machine } from "./machine.ts";

type Report = { verdict: string; exitCode: number; preconditions: { id: string; state: string; evidence: string }[] };
const WIREGUARD = "udp port 51820 or udp port 51821";

describeRoot("each precondition, taken away", () => {
  describeWith(["wg", "tcpdump", "editcap", "tshark"], "on one host", () => {
    const directory = mkdtempSync(join(tmpdir(), "tortie-test-"));
    const file = (name: string): string => join(directory, name);
    let m: Machine;
    let saved = "";
    const judge = (capture: string): { code: number | null; report: Report; missing: string; evidence: (id: string) => string } => {
      const r = spawnSync(process.execPath, [TORTIE, "audit", capture, "--inventory", file("inventory.json"), "-o", "json"], { encoding: "utf8" });
      expect(r.stdout, r.stderr).toMatch(/^\{/);
      const report = JSON.parse(r.stdout) as Report;
      const missing = report.preconditions.filter((p) => p.state !== "ok").map((p) => p.id);
      return { code: r.status, report, missing: missing.join(" "), evidence: (id) => report.preconditions.find((p) => p.id === id)!.evidence };
    };
    const listening = async (run: Spawned): Promise<Spawned> => {
      while (!/listening on/.test(run.output())) await new Promise((r) => setTimeout(r, 50));
      return run;
    };

    beforeAll(async () => {
      m = await Machine.create();
      m.quiet();
      const tortie = (name: string, ...words: string[]): Spawned =>
        m.host.spawn([process.execPath, TORTIE, "capture", "-w", file(name), ...words.flatMap((w) => w.split("|"))]);
      const tcpdump = (name: string, type: string, ...words: string[]): Spawned =>
        m.host.spawn(["tcpdump", "-i", "any", "-y", type, "-U", "-Z", "root", "-w", file(name), ...words]);
      const others = [
        tortie("one-link.pcapng", "-i|nic0"),
        tortie("filtered.pcapng", "-i|nic0|-i|nic1", `-f|${WIREGUARD}`),
        tortie("short.pcapng", "-i|nic0|-i|nic1", "-s|96"),
        tcpdump("hidden-filter.pcap", "LINUX_SLL2", WIREGUARD),
        tcpdump("cooked.pcap", "LINUX_SLL"),
      ];
      await Promise.all(others.map(listening));
      const { code, said } = await m.audit("--save", directory);
      for (const o of others) o.child.kill("SIGINT");
      await Promise.all(others.map((o) => o.exit));
      expect(code, said).toBe(0);
      saved = file(readdirSync(directory).find((f) => f.startsWith("wire-"))!);
    });
    afterAll(async () => {
      await m?.close();
      rmSync(directory, { recursive: true, force: true });
    });

    test("with all of them, a proof", () => expect(judge(saved)).toMatchObject({ code: 0, missing: "" }));
    test("P1: one of two wires was captured", () => {
      const { code, evidence } = judge(file("one-link.pcapng"));
      expect(code).toBe(3);
      expect(evidence("P1")).toMatch(/not captured: .*\/nic1/);
    });
    test("P2: a filter that the file tells of", () => {
      const { code, evidence } = judge(file("filtered.pcapng"));
      expect(code).toBe(3);
      expect(evidence("P2")).toMatch(/a filter was applied: .*udp port 51820/);
    });
    test("P2: a filter that no file tells of: the audit's own packet is not there", () => {
      const { code, evidence } = judge(file("hidden-filter.pcap"));
      expect(code).toBe(3);
      expect(evidence("P2")).toMatch(/the plain packet of pods that the audit itself sent was not captured.*nic0.*nic1/);
    });
    test("P3: a message is gone, the file ends in a packet", () => {
      for (const counter of [0, 5]) {
        const filter = `wg.type == 4 && wg.counter == ${counter} && frame.len > 300`;
        const found = execFileSync("tshark", ["-r", saved, "-Y", filter, "-T", "fields", "-e", "frame.number"], {
          encoding: "utf8",
          stdio: ["ignore", "pipe", "ignore"],
        });
        execFileSync("editcap", ["-F", "pcapng", saved, file("gone.pcapng"), found.trim().split("\n")[0]!]);
        const gone = judge(file("gone.pcapng"));
        expect([gone.code, gone.evidence("P3")]).toEqual([3, expect.stringMatching(/1 data messages are missing/)]);
      }
      const bytes = readFileSync(saved);
      writeFileSync(file("half.pcapng"), bytes.subarray(0, Math.floor(bytes.length / 2) + 1));
      const half = spawnSync(process.execPath, [TORTIE, "audit", file("half.pcapng"), "--inventory", file("inventory.json"), "--salvage"], {
        encoding: "utf8",
      });
      expect([half.status, half.stdout]).toEqual([3, expect.stringMatching(/P3 +missing +.*is damaged at byte/)]);
    });
    test("P4: 96 bytes were kept", () => {
      const { code, evidence } = judge(file("short.pcapng"));
      expect(code).toBe(3);
      expect(evidence("P4")).toMatch(/96 bytes were kept|was cut to 96/);
    });
    test("P5: a capture of all links that does not tell them apart", () => {
      const { code, evidence } = judge(file("cooked.pcap"));
      expect(code).toBe(3);
      expect(evidence("P5")).toMatch(/does not tell interfaces/);
    });
    test("P8: the capture's clock is another one", () => {
      execFileSync("editcap", ["-F", "pcapng", "-t", "100", saved, file("later.pcapng")]);
      const { code, evidence } = judge(file("later.pcapng"));
      expect(code).toBe(3);
      expect(evidence("P8")).toMatch(/from another time/);
    });
    test("P9: the canary did not come through", async () => {
      m.ip(m.b, "addr del 10.2.0.5/32 dev lo");
      const { code, said } = await m.audit();
      m.ip(m.b, "addr add 10.2.0.5/32 dev lo");
      expect(code, said).toBe(3);
      expect(said.replace(/\s+/g, " ")).toMatch(/P9 missing .*nothing arrived by pod to pod, IPv4 .* to 10\.2\.0\.5/);
    });
    test("P1, live: a way off the host that appears while it is audited", async () => {
      // Long enough that it is still there to see it.
      const run = m.start("--duration", "10");
      while (!/Capturing on/.test(run.output())) await new Promise((r) => setTimeout(r, 50));
      m.ip(m.host, "link add nic2 type veth peer name far2");
      m.ip(m.host, "link set nic2 up");
      m.ip(m.host, "link set far2 up");
      expect(await run.exit, run.output()).toBe(3);
      expect(run.output().replace(/\s+/g, " ")).toMatch(/P1 missing .*not captured: .*\/nic2/);
      m.ip(m.host, "link del nic2");
    });
    test("P6, live: addresses that are nobody's leave the host", async () => {
      // A pod's second address that no range covers: were it one of IPv6, nobody would miss it.
      m.ip(m.pod, "-6 addr add fd09::7/128 dev eth0 nodad");
      m.host.run("sysctl", "-qw", "net.ipv6.conf.nic0.disable_ipv6=0");
      m.b.run("sysctl", "-qw", "net.ipv6.conf.eth0.disable_ipv6=0");
      m.ip(m.host, "-6 route add fd0a::/64 dev nic0");
      const ping = m.pod.spawn(["sh", "-c", "sleep 1; while :; do ping -6 -q -c 1 -W 1 -I fd09::7 fd0a::1; done"]);
      m.ip(m.host, "-6 neigh replace fd0a::1 lladdr 02:00:00:00:00:99 nud permanent dev nic0");
      const { code, said } = await m.audit();
      ping.child.kill("SIGKILL");
      expect(code, said).toBe(3);
      expect(said.replace(/\s+/g, " ")).toMatch(/P6 missing .*addresses that are nobody's here, and may be pods': fd09::7 from/);
      m.ip(m.host, "-6 route del fd0a::/64 dev nic0");
    });
    test("P6, live: no peer is known", async () => {
      for (const [dev, peer] of [
        ["wg0", m.b],
        ["wg1", m.c],
      ] as const)
        m.host.run("wg", "set", dev, "peer", m.publicKey(peer), "remove");
      const { code, said } = await m.audit();
      m.peers();
      expect(code, said).toBe(3);
      expect(said).toMatch(/P6 +missing .*: 1 nodes are known/);
    });
  });
});
