// What the real wg(8) prints of our device and of the current wireguard-go, configured alike.
import { expect, test } from "vitest";
import { IF, tunnel, WG } from "../device/tunnel.ts";
import { describeRoot, describeWith, find } from "../peers.ts";

const current = find("wireguard-go");

describeRoot("a device and wireguard-go", () => {
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
