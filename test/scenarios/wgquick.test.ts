// The real wg-quick(8) on our device, by the one word that it takes: WG_QUICK_USERSPACE_IMPLEMENTATION.
import { chmodSync } from "node:fs";
import { afterEach, beforeEach, expect, test } from "vitest";
import { eventually, Host } from "../device/host.ts";
import { answers, WG } from "../device/tunnel.ts";
import { describeRoot, describeWith, TORTIE } from "../peers.ts";
import { ip, listening, newKeys, wg, wgSet } from "./network.ts";

const CONFIG = "/run/wgq.conf";
/** Somebody on the internet, whom only the tunnel reaches. */
const FAR = { v4: "203.0.113.7", v6: "2001:db8:f::7" };

describeRoot("wg-quick", () => {
  describeWith(["wg", "wg-quick", "ping", "nft"], "with tortie-device", () => {
    const { key, pub, psk } = newKeys();
    /** Client: wg-quick. Server: a device that is set up by hand, and holds the far addresses. */
    let client: Host;
    let server: Host;

    beforeEach(async () => {
      [client, server] = await Promise.all([Host.create(), Host.create()]);
      Host.join(client, "eth0", ["192.0.2.1/24", "2001:db8::1/64"], server, "eth0", ["192.0.2.2/24", "2001:db8::2/64"]);
      ip(client, "route add default via 192.0.2.2");
      ip(client, "-6 route add default via 2001:db8::2");
      // As npm does when it installs the program: a link under the other name.
      chmodSync(TORTIE, 0o755);
      client.run("ln", "-s", TORTIE, "/run/tortie-device");
    });
    afterEach(async () => {
      // A device in the background is nobody's child.
      client.run("sh", "-c", "rm -f /run/wireguard/*.sock");
      await eventually(() => expect(devices()).toEqual([]));
      await Promise.all([client.close(), server.close()]);
    });

    const devices = (): string[] =>
      client
        .run(
          "sh",
          "-c",
          `for p in /proc/[0-9]*; do [ "$(readlink $p/ns/net)" = "$(readlink /proc/self/ns/net)" ] && tr '\\0' ' ' < $p/cmdline && echo; done; true`,
        )
        .split("\n")
        .filter((l) => l.includes("device --foreground"));
    const quick = (what: string, ...env: string[]): string => {
      const implementation = "WG_QUICK_USERSPACE_IMPLEMENTATION=/run/tortie-device";
      return client.run("env", implementation, ...env, "wg-quick", what, CONFIG);
    };
    const configure = (...lines: string[]): string => client.write("wgq.conf", `[Interface]\nPrivateKey = ${key[0]}\n${lines.join("\n")}\n`);
    const peer = (...lines: string[]): string[] => [
      "[Peer]",
      `PublicKey = ${pub[1]}`,
      `PresharedKey = ${psk}`,
      "Endpoint = 192.0.2.2:51820",
      ...lines,
    ];
    const links = (): string => client.run("ip", "-br", "link");
    async function startServer(): Promise<void> {
      await server.device("tortie", "wg0");
      const allowed = ["allowed-ips", "10.8.0.1/32,fd08::1/128"];
      wgSet(server, "wg0", "listen-port", "51820", "private-key", `@${key[1]}`, "peer", pub[0], "preshared-key", `@${psk}`, ...allowed);
      for (const address of ["10.8.0.2/24", `${FAR.v4}/32`]) ip(server, `addr add ${address} dev wg0`);
      for (const address of ["fd08::2/64", `${FAR.v6}/128`]) ip(server, `addr add ${address} dev wg0 nodad`);
      ip(server, "link set wg0 up");
      await listening(server, 51820);
    }

    test("up: link, addresses, routes, MTU from the way to the peer; traffic; down: nothing is left", async () => {
      await startServer();
      configure("Address = 10.8.0.1/24, fd08::1/64", "ListenPort = 4444", ...peer("AllowedIPs = 10.8.0.0/24, fd08::/64, 203.0.113.0/24"));
      quick("up");
      expect(client.run("ip", "-d", "link", "show", "wgq")).toMatch(/mtu 1420 [\s\S]* tun type tun/);
      expect(client.run("ip", "-br", "addr", "show", "wgq")).toMatch(/10\.8\.0\.1\/24 fd08::1\/64/);
      expect(client.run("ip", "route", "show", "dev", "wgq")).toMatch(/203\.0\.113\.0\/24/);
      expect(wg(client, "show", "wgq", "listen-port")).toBe("4444");
      answers({ host: client }, "10.8.0.2", 2);
      answers({ host: client }, "fd08::2", 2);
      answers({ host: client }, FAR.v4, 2);
      expect(() => quick("up")).toThrow(/already exists/);
      quick("down");
      await eventually(() => expect(devices()).toEqual([]));
      expect(links()).not.toMatch(/wgq/);
      expect(client.run("sh", "-c", "ls /run/wireguard")).toBe("");
    });

    test("a default route: firewall mark, suppress_prefixlength, nft rules; all traffic goes through; down takes it all back", async () => {
      await startServer();
      const rules = (): string => client.run("ip", "rule") + client.run("ip", "-6", "rule");
      const tables = (): string => client.run("nft", "list", "tables");
      const before = rules();
      configure("Address = 10.8.0.1/24, fd08::1/64", ...peer("AllowedIPs = 0.0.0.0/0, ::/0"));
      quick("up");
      expect(wg(client, "show", "wgq", "fwmark")).toBe("0xca6c");
      await eventually(() => expect(client.run("ss", "-Hunlpe").match(/fwmark:0xca6c/g)?.length).toBeGreaterThanOrEqual(2));
      expect(rules().match(/suppress_prefixlength 0/g)?.length).toBe(2);
      expect(tables()).toMatch(/table ip wg-quick-wgq\ntable ip6 wg-quick-wgq|table ip6 wg-quick-wgq\ntable ip wg-quick-wgq/);
      answers({ host: client }, FAR.v4, 5);
      answers({ host: client }, FAR.v6, 5);
      // The host's own network is still reached directly.
      answers({ host: client }, "192.0.2.2", 1);
      quick("down");
      expect(rules()).toBe(before);
      expect(tables()).toBe("");
      await eventually(() => expect(devices()).toEqual([]));
    });

    test("Table = off makes no routes, Table = 123 makes them there; MTU and the four hooks are as written", () => {
      const hooks = ["PreUp", "PostUp", "PreDown", "PostDown"].map((when) => `${when} = echo ${when} %i >> /run/log`);
      configure("Address = 10.8.0.1/24", "Table = off", "MTU = 1280", ...hooks, ...peer("AllowedIPs = 203.0.113.0/24, ::/0"));
      quick("up");
      expect(client.run("ip", "route", "show", "table", "all")).not.toMatch(/203\.0\.113/);
      expect(wg(client, "show", "wgq", "fwmark")).toBe("off");
      expect(client.run("ip", "link", "show", "wgq")).toMatch(/mtu 1280/);
      quick("down");
      expect(client.run("cat", "/run/log")).toBe("PreUp wgq\nPostUp wgq\nPreDown wgq\nPostDown wgq\n");
      configure("Address = 10.8.0.1/24", "Table = 123", ...peer("AllowedIPs = 203.0.113.0/24, 0.0.0.0/0"));
      quick("up");
      expect(client.run("ip", "route", "show", "table", "123")).toMatch(/^default dev wgq.*\n203\.0\.113\.0\/24 dev wgq/);
      quick("down");
    });

    test("SaveConfig writes what was set meanwhile back to the file; save does so at any time", () => {
      configure("Address = 10.8.0.1/24", "ListenPort = 4444", "SaveConfig = true", ...peer("AllowedIPs = 10.8.0.0/24"));
      quick("up");
      wgSet(client, "wgq", "listen-port", "4445", "peer", pub[2], "allowed-ips", "10.9.0.0/24", "persistent-keepalive", "25");
      quick("save");
      expect(client.run("cat", CONFIG)).toMatch(/ListenPort = 4445/);
      wgSet(client, "wgq", "peer", pub[1], "remove");
      quick("down");
      const saved = client.run("cat", CONFIG);
      expect(saved).toContain(`PrivateKey = ${key[0]}`);
      expect(saved).toContain("Address = 10.8.0.1/24");
      expect(saved).toContain(`PublicKey = ${pub[2]}\nAllowedIPs = 10.9.0.0/24\nPersistentKeepalive = 25`);
      expect(saved).not.toContain(pub[1]);
      quick("up");
      expect(wg(client, "show", "wgq", "peers")).toBe(pub[2]);
      quick("down");
    });

    test("DNS goes to resolvconf; where there is none, up fails and leaves nothing", async () => {
      configure("Address = 10.8.0.1/24", "DNS = 10.8.0.2, example.org", ...peer("AllowedIPs = 10.8.0.0/24"));
      // A PATH without resolvconf, whatever this machine has.
      client.run(
        "sh",
        "-c",
        `mkdir /run/bin && for p in wg wg-quick ip nft env node bash sort stat readlink cat; do ln -s "$(command -v $p)" /run/bin/$p; done`,
      );
      expect(() => quick("up", "PATH=/run/bin")).toThrow(/resolvconf: command not found/);
      expect(links()).not.toMatch(/wgq/);
      await eventually(() => expect(devices()).toEqual([]));
      client.run(
        "sh",
        "-c",
        `printf '#!/bin/sh\\necho "$@" >> /run/dns; [ "$1" = -a ] && cat >> /run/dns; true\n' > /run/bin/resolvconf && chmod +x /run/bin/resolvconf`,
      );
      quick("up", "PATH=/run/bin:/usr/bin:/bin");
      expect(client.run("cat", "/run/dns")).toBe("-a wgq -m 0 -x\nnameserver 10.8.0.2\nsearch example.org\n");
      quick("down", "PATH=/run/bin:/usr/bin:/bin");
      expect(client.run("tail", "-n1", "/run/dns")).toBe("-d wgq -f\n");
    });

    test("a configuration that wg refuses leaves no device behind", async () => {
      configure("Address = 10.8.0.1/24", "[Peer]", "PublicKey = nonsense");
      expect(() => quick("up")).toThrow(/Key is not the correct length or format/);
      expect(links()).not.toMatch(/wgq/);
      await eventually(() => expect(devices()).toEqual([]));
    });

    test("strip and syncconf: a changed file takes effect, and the session of an unchanged peer goes on", async () => {
      await startServer();
      configure("Address = 10.8.0.1/24", ...peer("AllowedIPs = 10.8.0.0/24"));
      quick("up");
      answers({ host: client }, "10.8.0.2", 1);
      const handshake = wg(client, "show", "wgq", "latest-handshakes");
      const rx = (): number => Number(wg(client, "show", "wgq", "transfer").split("\t")[1]);
      const before = rx();
      configure("Address = 10.8.0.1/24", ...peer("AllowedIPs = 10.8.0.0/24, 203.0.113.0/24"), "[Peer]", `PublicKey = ${pub[2]}`);
      client.run("bash", "-c", `${WG} syncconf wgq <(wg-quick strip ${CONFIG})`);
      expect(wg(client, "show", "wgq", "peers").split("\n").toSorted()).toEqual([pub[1], pub[2]].toSorted());
      expect(wg(client, "show", "wgq", "allowed-ips")).toContain("10.8.0.0/24 203.0.113.0/24");
      answers({ host: client }, "10.8.0.2", 1);
      expect(rx()).toBe(before + 128);
      expect(wg(client, "show", "wgq", "latest-handshakes")).toContain(handshake);
      configure("Address = 10.8.0.1/24", ...peer("AllowedIPs = 10.8.0.0/24"));
      client.run("bash", "-c", `${WG} syncconf wgq <(wg-quick strip ${CONFIG})`);
      expect(wg(client, "show", "wgq", "peers")).toBe(pub[1]);
      answers({ host: client }, "10.8.0.2", 1);
      expect(wg(client, "show", "wgq", "latest-handshakes")).toBe(handshake);
      quick("down");
    });
  });
});
