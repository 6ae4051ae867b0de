// Lines of the kernel's scenario list that no userspace device can meet, each with every userspace device at hand: what it does instead, and that the
// others do the same. docs/deviations.md has the reasons. When one of these fails because a device got better, its entry there goes.
import { expect, test } from "vitest";
import { eventually, type Host } from "../device/host.ts";
import { answers, ping } from "../device/tunnel.ts";
import { describeRoot, describeWith, find } from "../peers.ts";
import { configurePeers, hosts, ip, listening, newKeys, nft, onLoopback, pause, secondPair, transfer, wg, wgSet } from "./network.ts";

const others = [find("wireguard-go"), find("wireguard-go", { debian: true })].filter((p) => p !== undefined);
const programs = ["tortie", ...new Set(others)];

type Pair = { readonly n0: Host; readonly n1: Host; readonly n2: Host };
/** The list's first topology with devices of `program`. */
async function withPair(program: string, body: (pair: Pair, keys: ReturnType<typeof newKeys>) => Promise<void>): Promise<void> {
  const { n0, n1, n2, close } = await hosts();
  try {
    const keys = newKeys();
    await onLoopback(program, n0, n1, n2);
    configurePeers(n1, n2, keys);
    await Promise.all([listening(n0, 1), listening(n0, 2)]);
    wgSet(n1, "wg0", "peer", keys.pub[1], "endpoint", "127.0.0.1:2");
    wgSet(n2, "wg0", "peer", keys.pub[0], "endpoint", "127.0.0.1:1");
    answers({ host: n1 }, "192.168.241.2", 1);
    await body({ n0, n1, n2 }, keys);
  } finally {
    await close();
  }
}

describeRoot("scenarios: deviations", () => {
  describeWith(["wg", "ping", "nft"], "of userspace devices", () => {
    test.for(programs)("route MTU 1299 on a link of 1300: the padding does not respect it (%s)", (program) =>
      withPair(program, async ({ n0, n1, n2 }) => {
        nft(n0, "table ip f {\n chain in {\n type filter hook input priority 0\n ip length > 1359 drop\n }\n}\n");
        for (const [host, other] of [
          [n1, 2],
          [n2, 1],
        ] as const) {
          ip(host, "link set wg0 mtu 1300");
          ip(host, `route add 192.168.241.${other}/32 dev wg0 mtu 1299`);
        }
        // A device hears a little later of its link's MTU.
        await eventually(() => expect(ping({ host: n2 }, "192.168.241.1", 1, "-W", "1", "-s", "1269")).toBe(0));
        expect(ping({ host: n2 }, "192.168.241.1", 1, "-s", "1268")).toBe(1);
      }),
    );

    test.for(programs)("a routing loop of two devices grows until the kernel's buffers are full, and ends with its cause (%s)", (program) =>
      withPair(program, async ({ n0, n1, n2 }, keys) => {
        await secondPair(n1, n2, keys, "127.0.0.1:1", program);
        answers({ host: n1 }, "192.168.241.2", 1);
        ip(n1, `link set wg1 netns ${n0.pid}`);
        ip(n0, "addr add 192.168.241.1/24 dev wg1");
        ip(n0, "link set wg1 up");
        await eventually(() => answers({ host: n0 }, "192.168.241.2", 1));
        // From here on what wg0 sends goes into wg1, and what wg1 sends into wg0.
        wgSet(n1, "wg0", "peer", keys.pub[1], "endpoint", "192.168.241.2:7");
        ip(n2, "link del wg0");
        ip(n2, "link del wg1");
        const sent = (): number => transfer(n1, "wg1").tx;
        const before = sent();
        expect(ping({ host: n0 }, "192.168.241.2", 10, "-f", "-i", "0", "-W", "1")).toBe(0);
        await eventually(() => expect(sent() - before).toBeGreaterThan(70_000));
        wg(n1, "set", "wg0", "peer", keys.pub[1], "remove");
        await eventually(async () => {
          const then = sent();
          await pause(100);
          expect(sent()).toBe(then);
        });
      }),
    );
  });
});
