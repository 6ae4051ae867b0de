// `tortie keylog --kernel` in guests with Debian's kernels: the keys of their WireGuard's handshakes, in both roles, open what was captured outside, for us and for
// tshark; with the types that the kernel tells, and without them. What is missing is said before anything is done, and nothing stays in the kernel.
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
import { Guest, kernels, missingKernel } from "./guest.ts";

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

/** What Debian 12 has, now and as a backport; and what else there is here. */
const SERIES = [...new Set(["6.12", "6.1", "arm64-6.12", ...kernels])];

describe.each(SERIES)("Linux %s", (series) => {
  const missing = missingKernel(series);
  describeRoot(`tortie keylog --kernel${missing === undefined ? "" : ` [skipped: no guest with this kernel here; ${missing}]`}`, () => {
    describe.skipIf(missing !== undefined)("in a guest", { timeout: SLOW }, () => {
      let guest: Guest;
      let host: Host;
      let directory: string;
      const keys = { guest: newKey(), host: newKey(), psk: newPsk() };

      beforeAll(async () => {
        directory = mkdtempSync(join(tmpdir(), "tortie-kernelkeys-"));
        [guest, host] = await Promise.all([Guest.boot({ program: true, kernel: series }), Host.create()]);
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
echo ${keys.guest} >/run/key; echo ${keys.psk} >/run/psk`);
        await configure();
        await guest.sh("until ping -q -c 1 -W 5 192.0.2.1; do :; done");
      }, SLOW);
      const configure = (): Promise<string> =>
        guest.sh(`set -e
ip link add wg0 type wireguard
wg set wg0 listen-port 51820 private-key /run/key peer ${publicOf(keys.host)} preshared-key /run/psk allowed-ips 10.77.0.1/32 endpoint 192.0.2.1:51820
ip addr add 10.77.0.2/24 dev wg0
ip link set wg0 up`);
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

      /** What --check says is not there: what it is, what was seen, what to do. */
      async function missingThings(script: string): Promise<[what: string, seen: string, remedy: string][]> {
        // In a mount namespace of its own: what is hidden there is hidden from nobody else.
        const out = await guest.sh(`unshare -m sh -c '${script}; ${PROGRAM} --check -o json; echo "exit $?"'`);
        const { findings } = JSON.parse(out.slice(0, out.lastIndexOf("exit "))) as {
          findings: { what: string; ok?: boolean; seen: string; remedy: string }[];
        };
        const found = findings.filter((f) => f.ok === false);
        expect(out).toMatch(found.length > 0 ? /exit 2\n$/ : /exit 0\n$/);
        return found.map((f) => [f.what, f.seen, f.remedy]);
      }

      test("without tracefs it says how to mount it", async () => {
        const out = await guest.sh(`${PROGRAM} -w /run/none 2>&1; echo "exit $?"; test ! -e /run/none`);
        expect(out).toMatch(/tracefs: not mounted\nmount -t tracefs nodev \/sys\/kernel\/tracing/);
        expect(out).toMatch(/exit 1\n$/);
        await guest.sh("mount -t tracefs nodev /sys/kernel/tracing");
      });

      const HIDE = "mount -t tmpfs none";
      test.for<[title: string, script: string, what: string, seen: RegExp, remedy: RegExp]>([
        ["tracefs is not mounted", `${HIDE} /sys/kernel/tracing`, "tracefs", /^not mounted$/, /^mount -t tracefs/],
        ["no kprobe events", `${HIDE} /sys/kernel/tracing; echo >/sys/kernel/tracing/README`, "tracefs", /without kprobe_events/, /^$/],
        [
          "a kernel made without kprobes",
          `mkdir -p /boot; ${HIDE} /boot; echo "# CONFIG_KPROBES is not set" >/boot/config-$(uname -r)`,
          "kprobes",
          /^CONFIG_KPROBES and CONFIG_KPROBE_EVENTS not set in \/boot/,
          /another one must be booted/,
        ],
        [
          "the function was compiled away",
          `grep -v wg_index_hashtable_insert /proc/kallsyms >/run/names; mount --bind /run/names /proc/kallsyms`,
          "WireGuard",
          /is not in \/proc\/kallsyms: compiled away/,
          /another one/,
        ],
        [
          "the compiler made another function of it",
          `sed "s/wg_index_hashtable_insert/&.isra.0/" /proc/kallsyms >/run/names; mount --bind /run/names /proc/kallsyms`,
          "WireGuard",
          /only as wg_index_hashtable_insert\.isra\.0/,
          /another one/,
        ],
      ])("--check: %s", async ([, script, ...want]) => {
        const [found, ...more] = await missingThings(script);
        expect(more).toEqual([]);
        for (const [i, w] of want.entries()) expect(found![i]).toMatch(w);
      });
      test("--check: as it is, nothing is missing", async () => expect(await missingThings("true")).toEqual([]));

      test("--check: the module is not loaded, and then not there", async () => {
        await guest.sh("ip link del wg0; rmmod wireguard");
        const dep = "mkdir -p /lib/modules/$(uname -r); echo kernel/drivers/net/wireguard/wireguard.ko: >/lib/modules/$(uname -r)/modules.dep";
        expect(await missingThings("true")).toMatchObject([["WireGuard", expect.stringMatching(/^not in this kernel/) as string, ""]]);
        expect(await missingThings(dep)).toMatchObject([
          ["WireGuard", expect.stringMatching(/^the module is not loaded/) as string, "modprobe wireguard"],
        ]);
        await guest.sh("insmod /modules/wireguard.ko");
        await configure();
      });

      test("not root: said, and nothing is done", async () => {
        const out = await guest.sh(
          `chmod 777 /run; mkdir -p /etc; echo u:x:1000:1000::/:/bin/sh >/etc/passwd; busybox su u -c "${PROGRAM} -w /run/users" 2>&1; echo "exit $?"`,
        );
        expect(out).toMatch(/Cannot take the kernel's keys: user: user 1000.*\nRun it as root/);
        expect(out).toMatch(/exit 1\n$/);
      });

      /** The guest's handshakes in both roles, logged and captured; what they open. */
      async function bothRoles(words: string, file: string): Promise<{ log: string; wire: string }> {
        await start(`${words} -w /run/${file}`);
        const c = await capture(`${file}.pcapng`);
        await guest.sh("ip link set wg0 down; ip link set wg0 up");
        await ping();
        // Now the other end begins: the kernel answers.
        const control = await connect(host.controlSocket("wg0"));
        await control.handshake();
        control.close();
        let log = "";
        await eventually(async () => {
          await ping();
          log = await guest.sh(`cat /run/${file}`);
          expect([...log.matchAll(RECORD)].length).toBeGreaterThanOrEqual(2);
        }, 300_000);
        await ping();
        await c.stop();
        const records = [...log.matchAll(RECORD)];
        expect(records.map((r) => r[0]).join("")).toBe(log);
        for (const [, own, remote, , psk] of records) expect([own, remote, psk]).toEqual([keys.guest, publicOf(keys.host), keys.psk]);
        expect(await guest.sh(`ls -l /run/${file}`)).toMatch(/^-rw-------/);

        const { tracker } = follow(readCapture(readFileSync(c.path)), log);
        const sessions = tracker.sessions.filter((s) => s.response);
        expect(sessions.length).toBeGreaterThanOrEqual(2);
        for (const s of sessions) {
          const { toResponder, toInitiator } = s.counts;
          expect(s.answered?.kind).toBe("open");
          expect(toResponder.decrypted + toInitiator.decrypted).toBe(toResponder.transport + toInitiator.transport);
        }
        const initiators = new Set(sessions.map((s) => Buffer.from(s.initiatorStatic!).toString("base64")));
        expect(initiators).toEqual(new Set([publicOf(keys.guest), publicOf(keys.host)]));
        return { log, wire: c.path };
      }
      /** tshark opens as many packets as we do. */
      function compare({ log, wire }: { log: string; wire: string }): void {
        const path = join(directory, "kernel.keys");
        writeFileSync(path, log, { mode: 0o600 });
        const words = ["-r", wire, "-o", `wg.keylog_file:${path}`, "-Y", "wg && icmp"];
        const lines = execFileSync(find("tshark")!, words, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).split("\n").length - 1;
        const { tracker } = follow(readCapture(readFileSync(wire)), log);
        const decrypted = tracker.sessions.reduce((n, s) => n + s.counts.toResponder.decrypted + s.counts.toInitiator.decrypted, 0);
        expect(decrypted).toBeGreaterThanOrEqual(18);
        expect(lines).toBe(decrypted);
      }

      let withTypes: Awaited<ReturnType<typeof bothRoles>>;
      test("handshakes in both roles: the canonical lines, and what they open", async () => {
        withTypes = await bothRoles("-i wg0", "keys");
      });
      describeWith(["tshark"], "the real tshark", () => {
        test("opens the same packets with this log", () => compare(withTypes));
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

      describe("when the kernel does not tell its types", () => {
        beforeAll(() => guest.sh("mount -t tmpfs none /sys/kernel/btf"), SLOW);
        let fromTable: Awaited<ReturnType<typeof bothRoles>>;
        test("--check says that the table is used, and what cannot be done then", async () => {
          const out = await guest.sh(`${PROGRAM} --check`);
          expect(out).toMatch(/^offsets +unknown +no \/sys\/kernel\/btf: from the table for Linux 5\.6 and later/m);
          expect(out).toMatch(/can be logged\.$/m);
        });
        test.for(["-i wg0", "--existing"])("%s: refused, with what works", async (words) => {
          const out = await guest.sh(`${PROGRAM} ${words} -w /run/none 2>&1; echo "exit $?"`);
          expect(out).toMatch(/does not tell its types \(no \/sys\/kernel\/btf\)\nWithout --interface and --existing/);
          expect(out).toMatch(/exit 1\n$/);
          expect(await left()).not.toMatch(/tortie/);
        });
        test("handshakes in both roles, all the same", async () => {
          fromTable = await bothRoles("", "table");
        });
        describeWith(["tshark"], "the real tshark", () => {
          test("opens the same packets with this log", () => compare(fromTable));
        });
        test("SIGINT ends it, and nothing of it is left", async () => {
          await guest.sh("kill -INT $(pidof node); until grep -q ^exit /run/said; do sleep 0.1; done");
          expect(await said()).toMatch(/Key log off: the keys of \d+ handshakes? are in "\/run\/table"\.\nexit 0\n$/);
          expect(await left()).not.toMatch(/tortie/);
        });
      });

      // There is no way back from it.
      test("locked down: said, and nothing is done", async () => {
        await guest.sh("mount -t securityfs none /sys/kernel/security; echo confidentiality >/sys/kernel/security/lockdown");
        const out = await guest.sh(`${PROGRAM} -w /run/none 2>&1; echo "exit $?"`);
        expect(out).toMatch(
          /Cannot take the kernel's keys: lockdown: confidentiality.*\nBoot without lockdown=confidentiality\.\nTortie's own device/,
        );
        expect(out).toMatch(/exit 1\n$/);
      });
    });
  });
});
