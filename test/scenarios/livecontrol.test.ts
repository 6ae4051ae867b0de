// What people and programs do to a device while it runs: ports, keys, descriptors handed over, connections left open, hosts without IPv6.
import { createConnection, type Socket } from "node:net";
import { afterEach, beforeEach, expect, test } from "vitest";
import { eventually, Host, type Spawned, tried } from "../device/host.ts";
import { answers, IF, inner, type Tunnel, tunnel, uapi } from "../device/tunnel.ts";
import { describeRoot, describeWith, TORTIE } from "../peers.ts";
import { ip, listener, listening, newKeys, wg, wgSet } from "./network.ts";

const DIST = new URL("../../dist", import.meta.url).pathname;

describeRoot("a device while it runs", () => {
  describeWith(["wg", "ping"], "two hosts", () => {
    let t: Tunnel;
    beforeEach(async () => {
      t = await tunnel();
      t.configure();
      answers(t.a, inner(2, 4), 1);
    });
    afterEach(() => t.close());

    test("the listen port changes again and again under traffic, on both ends: the session lives, and packets are lost only while a port is changed", async () => {
      const { a, b } = t;
      const before = wg(a.host, "show", IF, "latest-handshakes");
      // Each of ten changes may cost what is under way; how much that is depends on how soon the end whose port changed comes to speak.
      await tried("at most 50 of 200 lost", async () => {
        const pings = a.host.spawn(["ping", "-n", "-q", "-i", "0.01", "-c", "200", "-W", "2", inner(2, 4)]);
        for (let i = 0; i < 10; i++) {
          wgSet((i % 2 === 0 ? a : b).host, IF, "listen-port", String(4000 + i));
          // The end whose port changed speaks, or is spoken to at its old port: here it speaks first.
          answers(i % 2 === 0 ? a : b, inner(i % 2 === 0 ? 2 : 1, 4), 1);
        }
        await pings.exit;
        return Number(/ ([0-9]+) received/.exec(pings.output())![1]) > 150;
      });
      expect(wg(a.host, "show", IF, "latest-handshakes")).toBe(before);
      expect(wg(b.host, "show", IF, "endpoints")).toMatch(/:4008$/);
      expect(wg(a.host, "show", IF, "endpoints")).toMatch(/:4009$/);
    });

    test("a firewall mark of 0 takes it off; the session lives", () => {
      const { a } = t;
      for (const [mark, shown] of [
        ["0x10", "0x10"],
        ["0", "off"],
      ] as const) {
        wgSet(a.host, IF, "fwmark", mark);
        expect(wg(a.host, "show", IF, "fwmark")).toBe(shown);
        expect(/fwmark:/.test(a.host.run("ss", "-Hunlpe"))).toBe(mark !== "0");
        answers(a, inner(2, 4), 1);
      }
    });

    test("the private key is cleared: nothing more is sent; it is set again: the peers talk again", async () => {
      const { a, b } = t;
      wgSet(a.host, IF, "private-key", "/dev/null");
      expect(wg(a.host, "show", IF, "private-key")).toBe("(none)");
      expect(() => answers(a, inner(2, 4), 1, "-W", "1")).toThrow(/0 of 1/);
      wgSet(a.host, IF, "private-key", `@${a.key}`);
      await eventually(() => answers(a, inner(2, 4), 1));
      answers(b, inner(1, 4), 1);
    });

    test("the pre-shared key is cleared and set: the session lives, the next handshake needs it on both ends", async () => {
      const { a, b } = t;
      const psk = newKeys().psk;
      wgSet(a.host, IF, "peer", b.publicKey, "preshared-key", `@${psk}`);
      answers(a, inner(2, 4), 1);
      const before = wg(a.host, "show", IF, "latest-handshakes");
      await uapi(a, "tortie_handshake=1\n\n");
      answers(a, inner(2, 4), 1);
      expect(wg(a.host, "show", IF, "latest-handshakes")).toBe(before);
      wgSet(a.host, IF, "peer", b.publicKey, "preshared-key", "/dev/null");
      await eventually(async () => {
        await uapi(a, "tortie_handshake=1\n\n");
        expect(wg(a.host, "show", IF, "latest-handshakes")).not.toBe(before);
      });
      answers(a, inner(2, 4), 1);
    });
  });

  describeWith(["wg"], "one host", () => {
    const { key, pub } = newKeys();
    let host: Host;
    beforeEach(async () => {
      host = await Host.create();
    });
    afterEach(() => host.close());

    const onSpeaking = async (configure: () => void): Promise<void> => {
      const heard = await listener(host, 1111);
      configure();
      await eventually(() => expect(heard.output().charCodeAt(0)).toBe(1));
    };
    const peer = ["peer", pub[1], "persistent-keepalive", "25", "endpoint", "127.0.0.1:1111"];

    test("a persistent keepalive is sent when the link comes up", async () => {
      await host.device("tortie", IF);
      wgSet(host, IF, "private-key", `@${key[0]}`, ...peer);
      await onSpeaking(() => ip(host, `link set ${IF} up`));
    });
    test("a persistent keepalive is sent when the private key is set later", async () => {
      await host.device("tortie", IF);
      wgSet(host, IF, ...peer);
      ip(host, `link set ${IF} up`);
      await eventually(() => expect(wg(host, "show", IF, "listen-port")).not.toBe("0"));
      await onSpeaking(() => wgSet(host, IF, "private-key", `@${key[0]}`));
    });

    test("no key is ever printed: not when it is set, not when it is refused, not at the end", async () => {
      const device = await host.device("tortie", IF, { LOG_LEVEL: "verbose" });
      const psk = newKeys().psk;
      wgSet(host, IF, "private-key", `@${key[0]}`, ...peer, "preshared-key", `@${psk}`);
      ip(host, `link set ${IF} up`);
      const hex = (text: string): string => Buffer.from(text, "base64").toString("hex");
      for (const request of [
        `set=1\nprivate_key=${hex(key[0])}0\n\n`,
        `set=1\npublic_key=${hex(pub[2])}\npreshared_key=${hex(psk)}0\n\n`,
        `${hex(key[0])}\n\n`,
        `set=1\n${hex(psk)}=1\n\n`,
      ])
        expect(await uapi({ host }, request)).not.toMatch(/errno=0/);
      expect(wg(host, "show", IF)).not.toContain(key[0]);
      await eventually(() => expect(device.output()).toMatch(/interface up/));
      device.child.kill("SIGTERM");
      await device.exit;
      expect(device.output()).toMatch(/device stops/);
      for (const secret of [key[0], psk]) for (const form of [secret, hex(secret)]) expect(device.output()).not.toContain(form.slice(0, 12));
    });

    test("the port is taken while the link is down: up is said to fail, another port is taken at once, and so is the old one when it is free", async () => {
      const device = await host.device("tortie", IF);
      wgSet(host, IF, "listen-port", "4444");
      ip(host, `link set ${IF} up`);
      await listening(host, 4444);
      ip(host, `link set ${IF} down`);
      await eventually(() => expect(host.run("ss", "-Hunl")).toBe(""));
      const other = await listener(host, 4444);
      ip(host, `link set ${IF} up`);
      await eventually(() => expect(device.output()).toMatch(/Cannot open the UDP sockets.*|EADDRINUSE/));
      wgSet(host, IF, "listen-port", "4445");
      await listening(host, 4445);
      expect(() => wgSet(host, IF, "listen-port", "4444")).toThrow(/Address already in use/);
      expect(wg(host, "show", IF, "listen-port")).toBe("4445");
      ip(host, `link set ${IF} down`);
      await eventually(() => expect(host.run("ss", "-Hunl", "sport = :4445")).toBe(""));
      wgSet(host, IF, "listen-port", "4444");
      ip(host, `link set ${IF} up`);
      other.child.kill();
      await eventually(() => expect(host.run("ss", "-Hunlp", "sport = :4444")).toMatch(/tortie|node|MainThread/));
    });

    test("more than 256 idle connections to the control socket shut nobody out", async () => {
      await host.device("tortie", IF);
      const idle: Socket[] = [];
      for (let i = 0; i < 300; i++) {
        const socket = createConnection(host.controlSocket(IF));
        socket.on("error", () => {});
        idle.push(socket);
        await new Promise((resolve) => socket.once("connect", resolve).once("close", resolve));
      }
      expect(wg(host, "show", IF, "listen-port")).toBe("0");
      // One that speaks is not the one that has to go.
      const last = idle.at(-1)!;
      const answer = new Promise((resolve) => last.once("data", resolve));
      last.write("get=1\n\n");
      expect(String(await answer)).toMatch(/errno=0/);
      for (const socket of idle) socket.destroy();
    });

    test("a host whose kernel has no IPv6: IPv4 works", async () => {
      // seccomp(2): socket(AF_INET6, ...) answers EAFNOSUPPORT (97) in this process; all else is allowed.
      const arch = process.arch === "x64" ? 0 : 1;
      const script = `
        const { address, bind } = await import("${DIST}/sys/ffi.js");
        const rules = [[0x20,0,0,0],[0x15,0,3,${[41, 198][arch]}],[0x20,0,0,16],[0x15,0,1,10],[0x06,0,0,0x50000+97],[0x06,0,0,0x7fff0000]];
        const code = Buffer.alloc(8*rules.length);
        rules.forEach(([c,t,f,k],i)=>{code.writeUInt16LE(c,8*i);code[8*i+2]=t;code[8*i+3]=f;code.writeUInt32LE(k,8*i+4)});
        const program = Buffer.alloc(16); program.writeUInt16LE(rules.length,0); program.writeBigUInt64LE(BigInt(address(code)),8);
        bind("int prctl(int, unsigned long, unsigned long, unsigned long, unsigned long)")(38,1,0,0,0);
        const result = bind("int prctl(int, unsigned long, void *, unsigned long, unsigned long)")(22,2,program,0,0);
        if (result !== 0) throw new Error("no seccomp");
        process.argv.splice(1, process.argv.length, "${TORTIE}", "device", "-f", "${IF}");
        await import("${TORTIE}");`;
      const device = host.spawn([process.execPath, host.write("without-ipv6.mjs", script)]);
      await eventually(() => {
        if (device.child.exitCode !== null) throw new Error(device.output());
        wg(host, "show", IF);
      });
      wgSet(host, IF, "private-key", `@${key[0]}`, "listen-port", "4444", ...peer);
      await onSpeaking(() => ip(host, `link set ${IF} up`));
      expect(host.run("ss", "-Hunl", "sport = :4444").trim().split("\n").length).toBe(1);
    });

    /** A program that hands a TUN (opened for blocking reads) and a listening control socket to a device. */
    const handOver = (foreground: boolean): Spawned => {
      const script = `
        const { openTun } = await import("${DIST}/sys/tun.js");
        const { bind } = await import("${DIST}/sys/ffi.js");
        const { spawn } = await import("node:child_process");
        const { mkdirSync } = await import("node:fs");
        const tun = openTun("${IF}").fds[0];
        bind("int fcntl(int, int, int)")(tun, 4, 2);
        mkdirSync("/run/wireguard");
        const name = Buffer.alloc(110); name.writeUInt16LE(1); name.write("/run/wireguard/${IF}.sock", 2);
        const listening = bind("int socket(int, int, int)")(1, 1, 0);
        bind("int bind(int, void *, unsigned int)")(listening, name, 110);
        bind("int listen(int, int)")(listening, 5);
        const words = ["${TORTIE}", "device", ${foreground ? '"-f",' : ""} "${IF}"];
        const env = { ...process.env, WG_TUN_FD: "7", WG_UAPI_FD: "8" };
        const child = spawn(process.execPath, words, { stdio: ["ignore", "inherit", "inherit", "ignore", "ignore", "ignore", "ignore", tun, listening], env });
        child.on("exit", (code) => process.exit(code));`;
      return host.spawn([process.execPath, "--input-type=module", "-e", script]);
    };
    test.for([true, false])("WG_TUN_FD and WG_UAPI_FD are used; in the foreground: %s", async (foreground) => {
      const spawned = handOver(foreground);
      if (!foreground) expect(await spawned.exit, spawned.output()).toBe(0);
      await eventually(() => wgSet(host, IF, "private-key", `@${key[0]}`, "listen-port", "4444", ...peer));
      ip(host, `addr add 10.0.0.1/24 dev ${IF}`);
      await onSpeaking(() => ip(host, `link set ${IF} up`));
      // Packets of the link are read, and it goes on being controlled meanwhile.
      wgSet(host, IF, "peer", pub[1], "allowed-ips", "10.0.0.2/32");
      expect(wg(host, "show", IF, "allowed-ips")).toMatch(/10\.0\.0\.2/);
      host.run("rm", `/run/wireguard/${IF}.sock`);
      await eventually(() => expect(host.run("ip", "-br", "link")).not.toMatch(/wg0/));
    });

    test.for([
      { name: "no number", env: { WG_TUN_FD: "x" }, words: /^Cannot use WG_TUN_FD="x": it must be the number of an open file descriptor$/m },
      { name: "not open", env: { WG_TUN_FD: "99" }, words: /^Cannot use WG_TUN_FD="99": it must be the number of an open file descriptor$/m },
      { name: "no TUN", env: { WG_TUN_FD: "0" }, words: /^Cannot use file descriptor [04] as a TUN link: .*\nWG_TUN_FD must be an attached TUN\.$/m },
      { name: "not open (control)", env: { WG_UAPI_FD: "98" }, words: /^Cannot use WG_UAPI_FD="98": it must be the number of an open/m },
      {
        name: "no socket",
        env: { WG_UAPI_FD: "0" },
        words: /^Cannot use file descriptor [04] as the control socket: .*\nWG_UAPI_FD must be a listening UNIX socket\.$/m,
      },
    ])("a descriptor that is of no use is refused in words: $name", async ({ env, words }) => {
      for (const mode of [["-f"], []]) {
        const spawned = host.spawn([process.execPath, TORTIE, "device", ...mode, IF], env);
        expect(await spawned.exit).toBe(1);
        expect(spawned.output()).toMatch(words);
        expect(spawned.output()).not.toMatch(/ at .*\.js/);
      }
    });
  });
});
