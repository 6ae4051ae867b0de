// `tortie keylog --kernel` in a guest with Debian's kernel: the keys of its WireGuard's handshakes, in both roles, open what was captured outside, for us and for
// tshark. Nothing of it stays in the kernel.
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { follow } from "../../src/capture/fixtures.cases.ts";
import { readCapture } from "../../src/capture/reader.ts";
import { connect } from "../../src/uapi/client.ts";
import { eventually, Host, type Spawned } from "../device/host.ts";
import { newKey, newPsk, publicOf } from "../device/tunnel.ts";
import { describeRoot, describeWith, find, TORTIE } from "../peers.ts";
import { Guest, missingGuest } from "./guest.ts";

const PROGRAM = "node /tortie/dist/cli/main.js keylog --kernel";
/** In a guest on a busy machine a program takes long to start, a probe to be set, a handshake to be answered. */
const SLOW = 900_000;
const RECORD =
  /^LOCAL_STATIC_PRIVATE_KEY = (\S{44})\nREMOTE_STATIC_PUBLIC_KEY = (\S{44})\nLOCAL_EPHEMERAL_PRIVATE_KEY = (\S{44})\nPRESHARED_KEY = (\S{44})\n/gm;

describe("tortie keylog --kernel --check on this machine", () => {
  test("tells what is missing, and what works instead", () => {
    const ran = ((): { code: number; out: string } => {
      try {
        return { code: 0, out: execFileSync(process.execPath, [TORTIE, "keylog", "--kernel", "--check", "-o", "json"], { encoding: "utf8" }) };
      } catch (e) {
        const { status, stdout } = e as { status: number; stdout: string };
        return { code: status, out: stdout };
      }
    })();
    const answer = JSON.parse(ran.out) as { possible: boolean; findings: { ok?: boolean; seen: string }[]; alternative?: string };
    expect(ran.code).toBe(answer.possible ? 0 : 2);
    expect(answer.possible).toBe(answer.findings.every((f) => f.ok !== false));
    if (!answer.possible) expect(answer.alternative).toMatch(/tortie device/);
  });
});

const title = `tortie keylog --kernel${missingGuest === undefined ? "" : ` [skipped: no guest here; ${missingGuest}]`}`;
describeRoot(title, () => {
  describe.skipIf(missingGuest !== undefined)("in a guest", { timeout: SLOW }, () => {
    let guest: Guest;
    let host: Host;
    let directory: string;
    const keys = { guest: newKey(), host: newKey(), psk: newPsk() };

    beforeAll(async () => {
      directory = mkdtempSync(join(tmpdir(), "tortie-kernelkeys-"));
      [guest, host] = await Promise.all([Guest.boot({ program: true }), Host.create()]);
      await guest.attach(host);
      host.run("ip", "addr", "add", "192.0.2.1/24", "dev", "eth0");
      await host.device("tortie", "wg0");
      const [key, psk] = [host.write("key", keys.host), host.write("psk", keys.psk)];
      const peer = ["peer", publicOf(keys.guest), "preshared-key", psk, "allowed-ips", "10.77.0.2/32", "endpoint", "192.0.2.2:51820"];
      host.run("wg", "set", "wg0", "listen-port", "51820", "private-key", key, ...peer);
      host.run("ip", "addr", "add", "10.77.0.1/24", "dev", "wg0");
      host.run("ip", "link", "set", "wg0", "up");
      await guest.sh(`set -e; umask 077
ip addr add 192.0.2.2/24 dev eth0
echo ${keys.guest} >/run/key; echo ${keys.psk} >/run/psk
ip link add wg0 type wireguard
wg set wg0 listen-port 51820 private-key /run/key peer ${publicOf(keys.host)} preshared-key /run/psk allowed-ips 10.77.0.1/32 endpoint 192.0.2.1:51820
ip addr add 10.77.0.2/24 dev wg0
ip link set wg0 up
until ping -q -c 1 -W 5 192.0.2.1; do :; done`);
    }, SLOW);
    afterAll(async () => {
      await Promise.allSettled([guest?.close(), host?.close()]);
      rmSync(directory, { recursive: true, force: true });
    }, SLOW);

    /** Starts the key log in the guest; resolves when it is on. */
    async function start(words: string): Promise<void> {
      await guest.sh(`( ${PROGRAM} ${words} >/run/said 2>&1; echo "exit $?" >>/run/said ) & `);
      await guest.sh(`until grep -q -E '^KEY LOG ON|^exit' /run/said; do sleep 0.2; done`);
    }
    const said = (): Promise<string> => guest.sh("cat /run/said");
    const left = (): Promise<string> => guest.sh("ls /sys/kernel/tracing/instances; cat /sys/kernel/tracing/kprobe_events");
    const ping = (): Promise<string> => guest.sh("for i in 1 2 3; do ping -q -c 1 -W 20 10.77.0.1 || exit 1; done");
    async function capture(name: string): Promise<{ path: string; stop(): Promise<void> }> {
      const path = join(directory, name);
      const c: Spawned = host.spawn([process.execPath, TORTIE, "capture", "-i", "eth0", "-w", path, "udp port 51820"]);
      await eventually(() => expect(c.output()).toMatch(/^listening on/m), 120_000);
      const stop = async (): Promise<void> => {
        c.child.kill("SIGINT");
        await c.exit;
      };
      return { path, stop };
    }

    test("without tracefs it says how to mount it", async () => {
      const out = await guest.sh(`${PROGRAM} -w /run/none 2>&1; echo "exit $?"; ls /run/none 2>&1`);
      expect(out).toMatch(/tracefs: not mounted\nmount -t tracefs nodev \/sys\/kernel\/tracing/);
      expect(out).toMatch(/exit 1/);
      await guest.sh("mount -t tracefs nodev /sys/kernel/tracing");
    });

    let log = "";
    let open = "";
    test("handshakes in both roles: the canonical lines, and what they open", async () => {
      await start("-i wg0 -w /run/keys");
      const c = await capture("wire.pcapng");
      await ping();
      // Now the other end begins: the kernel answers.
      const control = await connect(host.controlSocket("wg0"));
      await control.handshake();
      control.close();
      await eventually(async () => {
        await ping();
        log = await guest.sh("cat /run/keys");
        expect([...log.matchAll(RECORD)].length).toBeGreaterThanOrEqual(2);
      }, 300_000);
      await ping();
      await c.stop();
      open = c.path;
      const records = [...log.matchAll(RECORD)];
      expect(records.map((r) => r[0]).join("")).toBe(log);
      for (const [, own, remote, , psk] of records) expect([own, remote, psk]).toEqual([keys.guest, publicOf(keys.host), keys.psk]);
      expect(await guest.sh("ls -l /run/keys")).toMatch(/^-rw-------/);

      const { tracker } = follow(readCapture(readFileSync(open)), log);
      const sessions = tracker.sessions.filter((s) => s.response);
      expect(sessions.length).toBeGreaterThanOrEqual(2);
      for (const s of sessions) {
        const { toResponder, toInitiator } = s.counts;
        expect(s.answered?.kind).toBe("open");
        expect(toResponder.decrypted + toInitiator.decrypted).toBe(toResponder.transport + toInitiator.transport);
      }
      const initiators = new Set(sessions.map((s) => Buffer.from(s.initiatorStatic!).toString("base64")));
      expect(initiators).toEqual(new Set([publicOf(keys.guest), publicOf(keys.host)]));
    });

    describeWith(["tshark"], "the real tshark", () => {
      test("opens the same packets with this log", () => {
        const path = join(directory, "kernel.keys");
        writeFileSync(path, log, { mode: 0o600 });
        const words = ["-r", open, "-o", `wg.keylog_file:${path}`];
        const count = (filter: string): number =>
          execFileSync(find("tshark")!, [...words, "-Y", filter], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).split("\n").length - 1;
        const { tracker } = follow(readCapture(readFileSync(open)), log);
        const decrypted = tracker.sessions.reduce((n, s) => n + s.counts.toResponder.decrypted + s.counts.toInitiator.decrypted, 0);
        expect(decrypted).toBeGreaterThanOrEqual(18);
        expect(count("wg && icmp")).toBe(decrypted);
      });
    });

    test("killed, it leaves its probe; the next one removes it. --existing gives the keys of sessions whose handshake nobody saw", async () => {
      await guest.sh("kill -9 $(pidof node); until grep -q ^exit /run/said; do sleep 0.1; done");
      expect(await left()).toMatch(/^tortie_\d+_\d+_\d+\n(p:tortie_\S+\/handshake .*\n)$/);
      const c = await capture("middle.pcapng");
      await start("-i wg0 --existing --for 600s -w /run/existing");
      expect(await said()).toMatch(/^Removed what 1 killed key log had left/);
      await ping();
      await guest.sh("until [ $(grep -c WGX_SESSION_KEY /run/existing) -ge 2 ]; do sleep 0.2; done");
      await c.stop();
      const sessionKeys = await guest.sh("grep WGX_SESSION_KEY /run/existing");
      const { tracker } = follow(readCapture(readFileSync(c.path)), sessionKeys);
      const opened = tracker.sessions.filter((s) => s.counts.toInitiator.decrypted + s.counts.toResponder.decrypted > 0);
      expect(opened.length).toBeGreaterThanOrEqual(1);
      expect(opened.reduce((n, s) => n + s.counts.toInitiator.decrypted + s.counts.toResponder.decrypted, 0)).toBeGreaterThanOrEqual(6);
    });

    test("SIGTERM ends it, and nothing of it is left; another's probes stay", async () => {
      await guest.sh("echo p:other/mine wg_noise_handshake_begin_session >>/sys/kernel/tracing/kprobe_events");
      await guest.sh("kill -TERM $(pidof node); until grep -q ^exit /run/said; do sleep 0.1; done");
      expect(await said()).toMatch(
        /Key log off: the keys of \d+ handshakes? and of [12] sessions that existed are in "\/run\/existing"\.\nexit 0\n$/,
      );
      expect(await left()).toBe("p:other/mine wg_noise_handshake_begin_session\n");
    });

    test("another peer's, or another interface's, keys are not written; the time ends it", async () => {
      await start(`--peer ${publicOf(newKey())} --for 20s -w /run/nobody`);
      await guest.sh("ip link set wg0 down; ip link set wg0 up");
      await ping();
      await guest.sh("until grep -q ^exit /run/said; do sleep 0.2; done");
      expect(await said()).toMatch(/Key log off: the keys of 0 handshakes are in .*\nexit 0\n$/);
      expect(await guest.sh("wc -c </run/nobody")).toBe("0\n");
    });
  });
});
