// The kernel's scenario list, control plane: what wg(8) sets and shows, keys, and what is left when all is gone.
import { afterEach, beforeEach, expect, test } from "vitest";
import { eventually, Host, type Spawned } from "../device/host.ts";
import { answers, uapi } from "../device/tunnel.ts";
import { describeRoot, describeWith } from "../peers.ts";
import { ip, listener, newKeys, pause, SUBJECT, wg, wgSet } from "./network.ts";

const lines = (text: string): string[] => text.split("\n");
/** `a` to `b`, both included. */
const range = (a: number, b: number): number[] => Array.from({ length: b - a + 1 }, (_, i) => a + i);
/** What sends nothing and is sent nothing: any 32 bytes are a public key to wg(8). */
const someKey = (n: number): string => Buffer.alloc(32, n).toString("base64");

describeRoot("scenarios: control", () => {
  describeWith(["wg"], "one device", () => {
    const keys = newKeys();
    const { key, pub, psk } = keys;
    let host: Host;
    let device: Spawned;
    beforeEach(async () => {
      host = await Host.create();
      device = await host.device(SUBJECT, "wg0", { LOG_LEVEL: "verbose" });
    });
    afterEach(() => host.close());

    const show = (...words: string[]): string => wg(host, "show", "wg0", ...words);
    const setconf = (...config: string[]): string => wg(host, "setconf", "wg0", host.write("wg0.conf", `${config.join("\n")}\n`));

    test("130,560 allowed IPs on one peer, and all of them again", () => {
      const config = range(1, 255).flatMap((a) => range(0, 255).map((b) => `AllowedIPs=${a}.${b}.0.0/16,${a}::${b}/128`));
      for (const _ of [1, 2]) {
        setconf("[Interface]", `PrivateKey=${key[0]}`, "[Peer]", `PublicKey=${pub[1]}`, ...config);
        expect(show("allowed-ips").split(/\s+/).length).toBe(255 * 256 * 2 + 1);
      }
    });

    test("40 peers with 52 prefixes each; 30 peers of which the last has two", () => {
      const prefixes = (a: number): string[] => range(1, 52).map((b) => `AllowedIPs=${a}.${b}.0.0/16`);
      setconf("[Interface]", `PrivateKey=${key[0]}`, ...range(1, 40).flatMap((a) => ["[Peer]", `PublicKey=${someKey(a)}`, ...prefixes(a)]));
      expect(lines(show("allowed-ips")).map((line) => line.split(/\s+/).length)).toEqual(range(1, 40).map(() => 53));
      const bare = range(1, 30).flatMap((a) => ["[Peer]", `PublicKey=${someKey(a)}`]);
      setconf(...bare, "AllowedIPs=255.2.3.4/32,abcd::255/128");
      expect(lines(show("allowed-ips"))).toEqual([...range(1, 29).map((a) => `${someKey(a)}\t(none)`), `${someKey(30)}\t255.2.3.4/32 abcd::255/128`]);
      expect(wg(host, "showconf", "wg0").match(/\[Peer\]/g)?.length).toBe(30);
    });

    test("197 IPv6 addresses on the second peer, none on the first", () => {
      wgSet(host, "wg0", "peer", pub[0]);
      wgSet(
        host,
        "wg0",
        "peer",
        pub[1],
        "allowed-ips",
        range(1, 197)
          .map((i) => `abcd::${i}`)
          .join(","),
      );
      const [first, second] = lines(show("allowed-ips"));
      expect(first).toBe(`${pub[0]}\t(none)`);
      expect(second!.split(/\s+/).length).toBe(1 + 197);
    });

    test("single prefixes are removed; one that is absent or another peer's stays as it is", async () => {
      // wg(8) of Debian's stable release cannot say it: the request it would send.
      const hex = (base64: string): string => Buffer.from(base64, "base64").toString("hex");
      const change = async (peer: string, ...entries: string[]): Promise<void> => {
        const text = ["set=1", `public_key=${hex(peer)}`, ...entries, "\n"].join("\n");
        expect(await uapi({ host }, text)).toBe("errno=0\n\n");
      };
      wgSet(host, "wg0", "peer", pub[0], "allowed-ips", "10.0.0.0/8,10.1.0.0/16,fd00::/64", "peer", pub[1], "allowed-ips", "10.2.0.0/16");
      await change(pub[0], "allowed_ip=-10.1.0.0/16", "allowed_ip=-10.2.0.0/16", "allowed_ip=-10.0.0.0/9", "allowed_ip=-fd00::/65");
      const left = `${pub[0]}\t10.0.0.0/8 fd00::/64\n${pub[1]}\t10.2.0.0/16`;
      expect(show("allowed-ips")).toBe(left);
      await change(pub[1], "allowed_ip=-10.1.0.0/16", "allowed_ip=-10.0.0.0/8", "allowed_ip=-::/0");
      expect(show("allowed-ips")).toBe(left);
      await change(pub[0], "allowed_ip=-fd00::/64", "allowed_ip=-10.0.0.0/8", "allowed_ip=172.16.0.0/12", "allowed_ip=-172.16.0.0/12");
      expect(show("allowed-ips")).toBe(`${pub[0]}\t(none)\n${pub[1]}\t10.2.0.0/16`);
    });

    test("a device that does not exist cannot be shown", () => {
      expect(() => wg(host, "show", "doesnotexist")).toThrow(/Unable to access interface/);
    });

    test("private and pre-shared key show as set; /dev/null clears both", () => {
      wgSet(host, "wg0", "private-key", `@${key[0]}`, "peer", pub[1], "preshared-key", `@${psk}`);
      expect([show("private-key"), show("preshared-keys")]).toEqual([key[0], `${pub[1]}\t${psk}`]);
      wgSet(host, "wg0", "private-key", "/dev/null", "peer", pub[1], "preshared-key", "/dev/null");
      expect([show("private-key"), show("preshared-keys")]).toEqual(["(none)", `${pub[1]}\t(none)`]);
    });

    test("a peer of the own key goes when the key is set, is ignored when added, and may come when the key has changed", () => {
      wgSet(host, "wg0", "peer", pub[1]);
      wgSet(host, "wg0", "private-key", `@${key[1]}`);
      expect([show("public-key"), show("peers")]).toEqual([pub[1], ""]);
      wgSet(host, "wg0", "peer", pub[1]);
      expect(show("peers")).toBe("");
      wgSet(host, "wg0", "private-key", `@${key[0]}`);
      wgSet(host, "wg0", "peer", pub[1]);
      expect(show("peers")).toBe(pub[1]);
    });

    test("a private key is clamped: one that begins with / shows with +", () => {
      wgSet(host, "wg0", "private-key", `@/${key[0].slice(1)}`);
      expect(show("private-key")).toBe(`+${key[0].slice(1)}`);
    });

    test("lists of overlapping prefixes replace one another, IPv4 and IPv6", () => {
      for (const list of [
        "0.0.0.0/0,10.0.0.0/8,100.0.0.0/10,172.16.0.0/12,192.168.0.0/16",
        "0.0.0.0/0",
        "::/0,1700::/111,5000::/4,e000::/37,9000::/75",
        "::/0",
      ]) {
        wgSet(host, "wg0", "peer", pub[1], "allowed-ips", list);
        expect(show("allowed-ips")).toBe(`${pub[1]}\t${list.replaceAll(",", " ")}`);
      }
      wgSet(host, "wg0", "peer", pub[1], "remove");
      expect(show("peers")).toBe("");
    });

    test("public keys of low order: nothing is ever sent to them", async () => {
      const lowOrder = ["AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="].concat(
        ["4Ot6fDtBuK4WVuP68Z/EatoJjeucMrH9hmIFFl9JuAA=", "X5yVvKNQjCSx0LFVnIPvWwREXMRYHI6G2CJO3dCfEVc="],
        ["7P///////////////////////////////////////38=", "7f///////////////////////////////////////38="],
        ["7v///////////////////////////////////////38="],
      );
      const heard = await listener(host, 1111);
      wgSet(host, "wg0", "private-key", `@${key[0]}`);
      for (const peer of lowOrder) wgSet(host, "wg0", "peer", peer, "persistent-keepalive", "1", "endpoint", "127.0.0.1:1111");
      expect(lines(show("peers")).length).toBe(7);
      ip(host, "link set wg0 up");
      await pause(2000);
      expect(heard.output()).toBe("");
      // The listener does hear.
      wgSet(host, "wg0", "peer", pub[1], "persistent-keepalive", "1", "endpoint", "127.0.0.1:1111");
      await eventually(() => expect(heard.output()).not.toBe(""));
    });

    test("what was made is unmade: no peer, keypair, index or trie node is left, and the device ends when its link's namespace goes", async () => {
      const elsewhere = await Host.create();
      wgSet(host, "wg0", "private-key", `@${key[0]}`, "listen-port", "1", "peer", pub[1], "endpoint", "127.0.0.1:2", "allowed-ips", "10.0.0.2/32");
      await host.device(SUBJECT, "wg1");
      wgSet(host, "wg1", "private-key", `@${key[1]}`, "listen-port", "2", "peer", pub[0], "endpoint", "127.0.0.1:1", "allowed-ips", "10.0.0.1/32");
      ip(host, "link set wg1 up");
      ip(host, `link set wg0 netns ${elsewhere.pid}`);
      ip(elsewhere, "addr add 10.0.0.1/24 dev wg0");
      ip(elsewhere, "link set wg0 up");
      ip(host, "addr add 10.0.0.2/24 dev wg1");
      answers({ host: elsewhere }, "10.0.0.2", 1);
      wgSet(host, "wg0", "peer", pub[1], "remove");
      await elsewhere.close();
      expect(await Promise.race([device.exit, pause(60_000)])).toBe(0);
      if (SUBJECT === "tortie") expect(device.output()).toMatch(/"peers":0,"keypairs":0,"indices":0,"nodes":0,.*"in use"/);
    });
  });
});
