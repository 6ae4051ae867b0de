// Our device with wireguard-go: Debian's and the current one, in both roles, IPv4 and IPv6 outside and inside, with and without a pre-shared key.
import { existsSync } from "node:fs";
import { expect, test } from "vitest";
import { answers, IF, inner, show, tunnel, uapi, WG } from "../device/tunnel.ts";
import { describeRoot, describeWith, find } from "../peers.ts";

const DEBIAN = "/usr/bin/wireguard-go";
const current = find("wireguard-go");
const versions = [
  ...(existsSync(DEBIAN) ? [{ version: "Debian's", program: DEBIAN }] : []),
  ...(current !== undefined && current !== DEBIAN ? [{ version: "the current", program: current }] : []),
];

describeRoot("a device and wireguard-go", () => {
  describeWith(["wg", "wireguard-go", "ping"], "handshake and packets", () => {
    const cases = versions.flatMap((v) =>
      ([4, 6] as const).flatMap((outer) => [true, false].flatMap((psk) => [true, false].map((initiates) => ({ ...v, outer, psk, initiates })))),
    );
    test.for(cases)("$version wireguard-go, IPv$outer outside, psk $psk, we initiate: $initiates", async ({ program, outer, psk, initiates }) => {
      const t = await tunnel({ programs: ["tortie", program], outer, psk });
      try {
        t.configure();
        const [first, second] = initiates ? [t.a, t.b] : [t.b, t.a];
        const [firstIs, secondIs] = initiates ? ([1, 2] as const) : ([2, 1] as const);
        answers(first, inner(secondIs, 4));
        answers(second, inner(firstIs, 6), 3);
        answers(first, inner(secondIs, 6), 3, "-s", "1300");
        // Longer than the MTU: fragments inside the tunnel.
        answers(first, inner(secondIs, 4), 3, "-s", "4000");
        // Sessions are renewed while packets flow, in either role, more than once in the life of a process.
        const handshakes = new Set([show(t.a, "latest-handshakes")]);
        for (let i = 0; i < 2; i++) {
          await new Promise((r) => setTimeout(r, 1000));
          expect(await uapi(t.a, "tortie_handshake=1\n\n")).toBe("errno=0\n\n");
          answers(second, inner(firstIs, 4));
          handshakes.add(show(t.a, "latest-handshakes"));
        }
        expect(handshakes.size).toBe(3);
        expect(show(t.a, "endpoints")).toBe(`${t.b.publicKey}\t${t.b.outer}`);
        expect(Number(show(t.a, "latest-handshakes").split("\t")[1])).toBeGreaterThan(Date.now() / 1000 - 30);
        const [, rx, tx] = show(t.a, "transfer").split("\t").map(Number);
        const [, rxThere, txThere] = show(t.b, "transfer").split("\t").map(Number);
        // A keepalive may be under way while we look.
        expect(Math.abs(rx! - txThere!)).toBeLessThanOrEqual(64);
        expect(Math.abs(tx! - rxThere!)).toBeLessThanOrEqual(64);
      } finally {
        await t.close();
      }
    });
  });

  describeWith(["wg", "wireguard-go"], "the same wg commands", () => {
    test("print the same on both", async () => {
      const t = await tunnel({ programs: ["tortie", current!] });
      try {
        const config = [
          "[Interface]",
          `PrivateKey = ${t.a.key}`,
          "ListenPort = 12345",
          "FwMark = 0xca6c",
          "[Peer]",
          `PublicKey = ${t.b.publicKey}`,
          `PresharedKey = ${t.b.key}`,
          "AllowedIPs = 10.0.0.0/8, 10.1.0.0/16, fd00::/8",
          "Endpoint = [2001:db8::9]:4",
          "PersistentKeepalive = 25",
          "",
        ].join("\n");
        const outputs = [t.a, t.b].map(({ host }) => {
          host.feed(config, WG, "setconf", IF, "/dev/stdin");
          return ["public-key", "private-key", "listen-port", "fwmark", "peers", "preshared-keys", "endpoints", "allowed-ips", "persistent-keepalive"]
            .map((field) => host.run(WG, "show", IF, field))
            .concat(host.run(WG, "showconf", IF));
        });
        expect(outputs[0]).toEqual(outputs[1]);
      } finally {
        await t.close();
      }
    });
  });
});
