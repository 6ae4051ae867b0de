// Two devices of ours: what people and scripts rely on while packets flow.
import { randomBytes } from "node:crypto";
import { readFileSync, rmSync } from "node:fs";
import { expect, test } from "vitest";
import { describeRoot, describeWith, TORTIE } from "../peers.ts";
import { eventually, Host, tried } from "./host.ts";
import { answers, IF, inner, newKey, ping, publicOf, show, type Tunnel, tunnel, type TunnelOptions, uapi, WG } from "./tunnel.ts";

async function withTunnel(options: TunnelOptions, body: (t: Tunnel) => unknown): Promise<void> {
  const t = await tunnel(options);
  try {
    await body(t);
  } finally {
    await t.close();
  }
}

const residentKb = (pid: number): number => Number(/VmRSS:\s+([0-9]+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))![1]);

describeRoot("two devices of ours", () => {
  describeWith(["wg", "ping"], "traffic", () => {
    test.for([4, 6] as const)("ping each other, IPv%i outside, IPv4 and IPv6 inside, with and without a pre-shared key", async (outer) => {
      for (const psk of [false, true]) {
        await withTunnel({ outer, psk }, async ({ a, b, configure }) => {
          configure();
          // The first packet of a tunnel is not lost.
          expect(ping(a, inner(2, 4))).toBe(3);
          answers(b, inner(1, 6));
          expect(ping(a, inner(2, 4), 20, "-s", "1392", "-M", "do")).toBe(20);
          answers(b, inner(1, 4), 5, "-s", "20000");
        });
      }
    });

    test("counts bytes as the kernel does: ten pings", async () => {
      await withTunnel({}, async ({ a, b, configure }) => {
        configure();
        expect(ping(a, inner(2, 4), 10)).toBe(10);
        // netns.sh of the kernel: 10 x 128 + 92 received, 10 x 128 + 148 sent, or one keepalive more.
        const [, rx, tx] = show(a, "transfer").split("\t").map(Number);
        expect(rx).toBe(1372);
        expect([1428, 1460]).toContain(tx);
        expect(show(b, "endpoints")).toBe(`${a.publicKey}\t${a.outer}`);
      });
    });

    test("both ends started in the same millisecond come up without the 5 s of a retry", async () => {
      // The ends differ by which key is lower: try both ways by chance of the keys.
      let slow = 0;
      for (let i = 0; i < 4; i++) {
        await withTunnel({}, async ({ a, b, configure }) => {
          configure();
          const started = Date.now();
          const runs = [
            a.host.runAsync("ping", "-n", "-q", "-c", "1", "-W", "60", inner(2, 4)),
            b.host.runAsync("ping", "-n", "-q", "-c", "1", "-W", "60", inner(1, 4)),
          ];
          await Promise.all(runs);
          if (Date.now() - started >= 5000) slow++;
        });
      }
      // One may meet a busy machine.
      expect(slow).toBeLessThanOrEqual(1);
    });

    test("a killed device, started again with the same key, has traffic back without the 5 s of a retry", async () => {
      await withTunnel({}, async ({ a, b, configure }) => {
        configure();
        answers(a, inner(2, 4));
        let { device } = a;
        await tried("traffic in less than 4 s", async () => {
          device.child.kill("SIGKILL");
          await device.exit;
          device = await a.host.device("tortie", IF);
          configure([a]);
          const started = Date.now();
          expect(await uapi(a, "tortie_handshake=1\n\n")).toBe("errno=0\n\n");
          await eventually(() => expect(ping(b, inner(1, 4), 1, "-W", "0.2")).toBe(1));
          return Date.now() - started < 4000;
        });
      });
    });

    test("a change of the listen port keeps the sessions, and the peer follows", async () => {
      await withTunnel({}, async ({ a, b, configure }) => {
        configure();
        answers(a, inner(2, 4));
        const before = show(a, "latest-handshakes");
        a.host.run(WG, "set", IF, "listen-port", "4500");
        answers(a, inner(2, 4));
        answers(b, inner(1, 4));
        expect(show(a, "latest-handshakes")).toBe(before);
        expect(show(b, "endpoints")).toMatch(/192\.0\.2\.1:4500$/);
      });
    });

    test("a taken port is refused and changes nothing", async () => {
      await withTunnel({}, async ({ a, configure }) => {
        configure();
        const other = a.host.spawn([process.execPath, "-e", 'require("dgram").createSocket("udp4").bind(4501, () => console.log("bound"))']);
        await eventually(() => expect(other.output()).toMatch(/bound/));
        expect(() => a.host.run(WG, "set", IF, "listen-port", "4501")).toThrow(/in use/);
        expect(show(a, "listen-port")).toBe("51820");
        answers(a, inner(2, 4));
      });
    });

    test("the firewall mark is on the sockets, now and after the link was down", async () => {
      await withTunnel({}, async ({ a, configure }) => {
        configure();
        const marks = (): string => a.host.run("ss", "-Hunlpe");
        a.host.run(WG, "set", IF, "fwmark", "0x1234");
        expect(marks().match(/fwmark:0x1234/g)?.length).toBe(2);
        a.host.run("ip", "link", "set", IF, "down");
        return eventually(() => expect(marks()).toBe("")).then(() => {
          a.host.run("ip", "link", "set", IF, "up");
          return eventually(() => expect(marks().match(/fwmark:0x1234/g)?.length).toBe(2));
        });
      });
    });

    test("listens on 0.0.0.0 and [::]", async () => {
      await withTunnel({}, async ({ a, configure }) => {
        configure();
        await eventually(() => {
          const text = a.host.run("ss", "-Hunl");
          expect(text).toMatch(/0\.0\.0\.0:51820/);
          expect(text).toMatch(/\[::\]:51820/);
        });
      });
    });

    test("works on a host without IPv6", async () => {
      const host = await Host.create();
      try {
        host.run("sh", "-c", "echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6");
        await host.device("tortie", IF);
        host.run("ip", "link", "set", IF, "up");
        await eventually(() => expect(host.run("ss", "-Hunl")).toMatch(/:[0-9]+/));
      } finally {
        await host.close();
      }
    });

    test("the link moved to another namespace goes on, and may be brought up there", async () => {
      await withTunnel({}, async ({ a, b, configure }) => {
        configure();
        const inside = await Host.create();
        try {
          a.host.run("ip", "link", "set", IF, "netns", String(inside.pid));
          inside.run("ip", "addr", "add", `${inner(1, 4)}/24`, "dev", IF);
          inside.run("ip", "link", "set", IF, "up");
          await eventually(() => expect(ping({ ...a, host: inside }, inner(2, 4), 1)).toBe(1));
          answers(b, inner(1, 4));
        } finally {
          await inside.close();
        }
      });
    });

    test("answers leave from the address that was asked", async () => {
      await withTunnel({}, async ({ a, b, configure }) => {
        configure();
        b.host.run("ip", "addr", "add", "192.0.2.99/24", "dev", "eth0");
        a.host.run(WG, "set", IF, "peer", b.publicKey, "endpoint", "192.0.2.99:51820");
        answers(a, inner(2, 4));
        answers(b, inner(1, 4));
        expect(show(a, "endpoints")).toMatch(/192\.0\.2\.99:51820$/);
        // When that address goes away, the next packet finds another.
        b.host.run("ip", "addr", "del", "192.0.2.99/24", "dev", "eth0");
        answers(b, inner(1, 4));
        expect(show(a, "endpoints")).toMatch(/192\.0\.2\.2:51820$/);
      });
    });

    test("a better route by another link is taken at once", async () => {
      await withTunnel({}, async ({ a, b, configure }) => {
        configure();
        answers(a, inner(2, 4));
        Host.join(a.host, "eth1", ["198.51.100.1/24"], b.host, "eth1", ["198.51.100.2/24"]);
        b.host.run("ip", "route", "add", "192.0.2.1/32", "via", "198.51.100.1", "dev", "eth1");
        const sent = (): number => {
          const [link] = JSON.parse(b.host.run("ip", "-j", "-s", "link", "show", "eth1")) as [{ stats64: { tx: { bytes: number } } }];
          return link.stats64.tx.bytes;
        };
        const before = sent();
        expect(ping(b, inner(1, 4), 20)).toBe(20);
        expect(sent() - before).toBeGreaterThan(20 * 128);
      });
    });

    test("a device that has to wait for its turn loses nothing, and our ping waits for the last answer", async () => {
      await withTunnel({}, async ({ a, b, configure }) => {
        configure();
        answers(a, inner(2, 4));
        const pings = a.host.spawn([process.execPath, TORTIE, "ping", "-n", "-c", "3", "-i", "0.5", inner(2, 4)]);
        await eventually(() => expect(pings.output()).toMatch(/icmp_seq=2 /));
        b.device.child.kill("SIGSTOP");
        await new Promise((r) => setTimeout(r, 1000));
        b.device.child.kill("SIGCONT");
        expect(await pings.exit).toBe(0);
        expect(pings.output()).toMatch(/3 packets transmitted, 3 received/);
      });
    });

    test("any datagrams whatever neither stop it nor make it grow", async () => {
      await withTunnel({}, async ({ a, b, configure }) => {
        configure();
        answers(a, inner(2, 4));
        const pid = b.device.child.pid!;
        const flood = (rounds: number): void => {
          const script = `
            const { randomBytes } = require("crypto"); const s = require("dgram").createSocket("udp4"); const n = ${rounds};
            (async () => { for (let r = 0; r < n; r++) for (let size = 0; size < 2000; size++) {
              const m = randomBytes(size); if (size > 4 && r % 2) m.writeUInt32LE(1 + (size + r) % 4);
              await new Promise((d) => s.send(m, 51820, "192.0.2.2", d)); }
              for (const size of [148, 92, 64, 32, 9000, 65000, 65507]) for (let t = 1; t < 5; t++) { const m = randomBytes(size); m.writeUInt32LE(t); await new Promise((d) => s.send(m, 51820, "192.0.2.2", d)); }
              s.close(); })();`;
          a.host.run(process.execPath, "-e", script);
        };
        flood(4);
        const before = residentKb(pid);
        flood(16);
        answers(a, inner(2, 4));
        answers(b, inner(1, 6));
        expect(b.device.child.exitCode).toBeNull();
        // Half of what was sent: none of it is kept.
        expect(residentKb(pid) - before).toBeLessThan(16 * 1024);
      });
    });

    test("nonsense on the TUN neither stops it nor leaves it", async () => {
      await withTunnel({}, async ({ a, configure }) => {
        configure();
        answers(a, inner(2, 4));
        // No peer has this destination.
        a.host.run("ip", "route", "add", "10.99.0.0/16", "dev", IF);
        expect(ping(a, "10.99.1.1", 2, "-W", "0.2")).toBe(0);
        answers(a, inner(2, 4));
      });
    });

    test("10,000 allowed IPs in one request are all there, and removed again", async () => {
      await withTunnel({}, async ({ a, b, configure }) => {
        configure();
        const list = Array.from({ length: 10_000 }, (_, i) => `allowed_ip=10.${(i >> 8) & 255}.${i & 255}.0/24\n`).join("");
        const hex = Buffer.from(b.publicKey, "base64").toString("hex");
        expect(await uapi(a, `set=1\npublic_key=${hex}\nreplace_allowed_ips=true\n${list}\n`)).toBe("errno=0\n\n");
        expect(show(a, "allowed-ips").split(/\s+/).length).toBe(10_001);
        a.host.run(WG, "set", IF, "peer", b.publicKey, "remove");
        expect(show(a, "peers")).toBe("");
      });
    });

    test("the key log holds the four keys of each handshake before the handshake is over", async () => {
      const path = `/tmp/tortie-test-keys-${process.pid}-${randomBytes(4).toString("hex")}`;
      const t = await tunnel({ env: { WG_KEYLOGFILE: path } });
      try {
        // Both ends write to the one file: appended records never mix.
        t.configure();
        expect(ping(t.a, inner(2, 4))).toBe(3);
        const lines = readFileSync(path, "utf8").trimEnd().split("\n");
        for (const l of lines)
          expect(l).toMatch(/^(LOCAL_STATIC_PRIVATE_KEY|REMOTE_STATIC_PUBLIC_KEY|LOCAL_EPHEMERAL_PRIVATE_KEY|PRESHARED_KEY) = [A-Za-z0-9+/]{43}=$/);
        const types = lines.map((l) => l.split(" ")[0]);
        expect(types.filter((x) => x === "LOCAL_EPHEMERAL_PRIVATE_KEY").length).toBeGreaterThanOrEqual(2);
        const at = types.indexOf("LOCAL_EPHEMERAL_PRIVATE_KEY");
        expect(types.slice(at - 2, at + 2)).toEqual([
          "LOCAL_STATIC_PRIVATE_KEY",
          "REMOTE_STATIC_PUBLIC_KEY",
          "LOCAL_EPHEMERAL_PRIVATE_KEY",
          "PRESHARED_KEY",
        ]);
        expect(lines).toContain(`LOCAL_STATIC_PRIVATE_KEY = ${t.a.key}`);
        expect(t.a.device.output()).toMatch(/whoever has them reads/);
        expect(t.a.device.output()).not.toContain(t.a.key);
      } finally {
        await t.close();
        rmSync(path, { force: true });
      }
    });

    test("wg syncconf with the same configuration keeps the session", async () => {
      await withTunnel({}, async ({ a, configure }) => {
        configure();
        answers(a, inner(2, 4));
        const before = show(a, "dump");
        const config = a.host.run(WG, "showconf", IF);
        a.host.feed(config, WG, "syncconf", IF, "/dev/stdin");
        expect(show(a, "dump")).toBe(before);
        answers(a, inner(2, 4));
      });
    });

    test("a new private key takes effect at once", async () => {
      await withTunnel({}, async ({ a, b, configure }) => {
        configure();
        answers(a, inner(2, 4));
        await tried("traffic in less than 4 s", async () => {
          const key = newKey();
          b.host.run(WG, "set", IF, "peer", publicOf(key), "allowed-ips", `${inner(1, 4)}/32`);
          const started = Date.now();
          a.host.feed(key, WG, "set", IF, "private-key", "/dev/stdin");
          await eventually(() => expect(ping(a, inner(2, 4), 1, "-W", "0.5")).toBe(1));
          expect(show(a, "public-key")).toBe(publicOf(key));
          return Date.now() - started < 4000;
        });
      });
    });
  });
});
