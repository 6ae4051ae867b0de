// A nonce is used once: every data message on the wire is watched while sessions come and go, sends fail, and devices are killed in the middle.
import { afterAll, beforeAll, expect, test } from "vitest";
import { fromBase64, toHex } from "../../src/base/bytes.ts";
import { describeWith } from "../peers.ts";
import { eventually } from "./host.ts";
import { answers, type End, IF, inner, ping, show, type Tunnel, tunnel, uapi } from "./tunnel.ts";
import { type OnWire, repeatedNonces, watchWire } from "./wire.ts";

/** 32 flows, which the kernel spreads over the queues of the link: 300 bursts of each in turn. */
const FLOWS = `
const { createSocket } = require("node:dgram");
const flows = Array.from({ length: 32 }, () => createSocket("udp4"));
const packet = Buffer.alloc(200);
let bursts = 300;
const burst = () => {
  for (let i = 0; i < 4; i++) for (const flow of flows) flow.send(packet, 9000, "${inner(2, 4)}", () => {});
  if (--bursts > 0) setTimeout(burst, 5);
  else for (const flow of flows) flow.close();
};
burst();
`;

describeWith(["tcpdump", "wg"], "every nonce on the wire", () => {
  let t: Tunnel;
  beforeAll(async () => {
    t = await tunnel();
    t.configure();
    answers(t.a, inner(2, 4));
  });
  afterAll(() => t?.close());

  /** Both send at once, as fast as ping can. */
  const traffic = (): Promise<unknown> =>
    Promise.all(
      [
        [t.a, inner(2, 4)],
        [t.b, inner(1, 4)],
      ].map(([end, to]) =>
        (end as End).host.runAsync("ping", "-n", "-q", "-f", "-c", "300", "-s", "900", "-W", "1", to as string).catch(() => undefined),
      ),
    );
  const rekey = async (from: End, to: End): Promise<void> => {
    await uapi(from, `tortie_handshake=1\npublic_key=${toHex(fromBase64(to.publicKey)!)}\n\n`);
  };

  test("is new: through new sessions, failed sends, a killed device and a restarted one", async () => {
    const stop = await watchWire(t.a.host, "eth0");
    for (let round = 0; round < 3; round++) {
      const busy = traffic();
      await rekey(t.a, t.b);
      await rekey(t.b, t.a);
      await busy;
    }
    // Sends fail: no route, then no link.
    const outer = ["192.0.2.0/24", "dev", "eth0"];
    for (let round = 0; round < 3; round++) {
      const busy = traffic();
      t.a.host.run("ip", "route", "del", ...outer);
      t.a.host.run("ip", "route", "add", ...outer, "src", "192.0.2.1");
      t.b.host.run("ip", "link", "set", "eth0", "down");
      t.b.host.run("ip", "link", "set", "eth0", "up");
      await busy;
    }
    // A device is killed in the middle and comes back with the same key.
    for (const signal of ["SIGKILL", "SIGTERM"] as const) {
      const busy = traffic();
      const old = t.b.device;
      old.child.kill(signal);
      await old.exit;
      const device = await t.b.host.device("tortie", IF);
      t = { ...t, b: { ...t.b, device } };
      await busy;
      configureAgain(t.b, t.a);
      await eventually(() => expect(ping(t.a, inner(2, 4), 3)).toBeGreaterThan(0));
      await traffic();
    }
    const wire = await stop();
    const data = wire.filter((w) => w.message.type === 4);
    const sessions = new Set(data.map((w) => `${w.from} ${w.message.type === 4 ? w.message.receiver : ""}`));
    expect(data.length).toBeGreaterThan(2000);
    // Each way: the first, those of the rekeys, those after the two restarts.
    expect(sessions.size).toBeGreaterThanOrEqual(8);
    expect(repeatedNonces(wire)).toEqual([]);
    // It would see one.
    const again: OnWire[] = [...wire, data[100]!];
    expect(repeatedNonces(again)).toHaveLength(1);
    expect(show(t.a, "latest-handshakes")).not.toMatch(/\t0$/);
  });

  test.for([
    ["to one peer at the same time", "parking", true],
    ["while there is work for both, which here is never", "", false],
  ] as const)("is new when two threads send %s", async ([, without, both]) => {
    const two = await tunnel({ env: { LOG_LEVEL: "verbose", TORTIE_THREADS: "2", TORTIE_WITHOUT: without } });
    try {
      two.configure();
      const stop = await watchWire(two.a.host, "eth0");
      // From before there is a session: what one thread stages, the other sends.
      await two.a.host.runAsync(process.execPath, "-e", FLOWS);
      expect(ping(two.a, inner(2, 4))).toBeGreaterThan(0);
      const wire = await stop();
      const counters = wire.flatMap(({ from, message }) => (message.type === 4 && from === "192.0.2.1" ? [message.counter] : []));
      expect(counters.length).toBeGreaterThan(5000);
      // One thread alone sends in the order of its counters. On a slow machine there may be work for both.
      const spread = /"workers":2,"msg":"data workers with packets"/.test(two.a.device.output());
      if (both || !spread) expect(counters.some((counter, i) => counter < (counters[i - 1] ?? counter))).toBe(both);
      expect(repeatedNonces(wire)).toEqual([]);
    } finally {
      await two.close();
    }
  });

  /** What configure() does for a device that was there at the start. */
  function configureAgain(self: End, other: End): void {
    self.host.feed(
      `[Interface]\nPrivateKey = ${self.key}\nListenPort = 51820\n[Peer]\nPublicKey = ${other.publicKey}\nEndpoint = ${other.outer}\n` +
        `AllowedIPs = ${inner(1, 4)}/32, ${inner(1, 6)}/128\n`,
      "wg",
      "setconf",
      IF,
      "/dev/stdin",
    );
    self.host.run("ip", "addr", "replace", `${inner(2, 4)}/24`, "dev", IF);
    self.host.run("ip", "link", "set", IF, "up");
  }
});
