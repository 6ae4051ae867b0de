// A device in a real flood of messages of no session, which the kernel drops for it while it lasts.
import { afterAll, beforeAll, expect, test } from "vitest";
import { describeRoot, TORTIE } from "../peers.ts";
import { eventually, type Spawned } from "../device/host.ts";
import { answers, IF, inner, show, type Tunnel, tunnel, uapi, WG } from "../device/tunnel.ts";
import { type Flooder, flooder } from "./flooder.ts";

const PORT = 51820;
const BEGUN = "the kernel drops them while it lasts";
const OVER = "the kernel drops no messages any more";
const PATIENCE_MS = 60_000;
const pause = (ms: number): Promise<void> => new Promise((r) => setTimeout(r, ms));
const times = (device: Spawned, words: string): number => device.output().split(words).length - 1;

for (const threads of ["1", "2"])
  describeRoot(`a device of ${threads} data thread(s) in a flood of junk`, () => {
    let t: Tunnel;
    let flood: Flooder;
    let stop: () => Promise<void>;
    /** The flooded device. */
    let device: Spawned;
    beforeAll(async () => {
      t = await tunnel({ env: { LOG_LEVEL: "verbose", TORTIE_THREADS: threads } });
      t.configure();
      device = t.b.device;
      answers(t.a, inner(2, 4), 5);
      flood = await flooder(t.b);
      stop = await flood.start("junk", PORT);
      await eventually(() => expect(device.output()).toContain(BEGUN), PATIENCE_MS);
    });
    afterAll(async () => {
      await flood?.close();
      await t?.close();
    });
    const handshake = (end: typeof t.a): number => Number(show(end, "latest-handshakes").split("\t")[1]);

    test("its peer is answered, and so is it", () => {
      answers(t.a, inner(2, 4), 20);
      answers(t.b, inner(1, 6), 20);
    });

    test.each(["a", "b"] as const)("new sessions that %s asks for come up, and carry the first packet", async (which) => {
      for (let i = 0; i < 3; i++) {
        const before = handshake(t.b);
        // A handshake's time is in seconds.
        await pause(1100);
        await uapi(t[which], "tortie_handshake=1\n\n");
        await eventually(() => expect(handshake(t.b)).toBeGreaterThan(before), PATIENCE_MS);
        answers(t.a, inner(2, 4), 3);
        answers(t.b, inner(1, 4), 3);
      }
    });

    test("a peer that is new to it comes up, whichever side begins", async () => {
      for (const [one, other] of [
        [t.a, t.b],
        [t.b, t.a],
      ] as const) {
        for (const end of [t.a, t.b]) end.host.run(WG, "set", IF, "peer", (end === t.a ? t.b : t.a).publicKey, "remove");
        // Until the filter has forgotten its address.
        await pause(2000);
        t.configure();
        answers(one, inner(one === t.a ? 2 : 1, 4), 5);
        answers(other, inner(other === t.a ? 2 : 1, 4), 5);
      }
    });

    test("a peer that is elsewhere all of a sudden is heard, and answered there", () => {
      t.a.host.run("ip", "addr", "del", "192.0.2.1/24", "dev", "eth0");
      t.a.host.run("ip", "addr", "add", "192.0.2.77/24", "dev", "eth0");
      t.a.host.run(WG, "set", IF, "listen-port", "51999");
      answers(t.a, inner(2, 4), 5);
      expect(show(t.b, "endpoints")).toContain("192.0.2.77:51999");
      answers(t.b, inner(1, 4), 5);
    });

    test("sockets that are opened meanwhile have the filter as well", async () => {
      t.b.host.run(WG, "set", IF, "listen-port", "51821");
      t.b.host.run(WG, "set", IF, "listen-port", String(PORT));
      const dropped = (): number => {
        const lines = t.b.host
          .run("cat", "/proc/net/udp")
          .split("\n")
          .filter((line) => line.includes(`:${PORT.toString(16).toUpperCase()} `));
        return lines.reduce((sum, line) => sum + Number(line.trim().split(/ +/).at(-1)), 0);
      };
      await eventually(() => expect(dropped()).toBeGreaterThan(20_000), PATIENCE_MS);
      answers(t.a, inner(2, 4), 5);
    });

    test("its successor begins without a filter, and makes its own", async () => {
      const successor = t.b.host.spawn([process.execPath, TORTIE, "device", "--take-over", "-f", IF], { LOG_LEVEL: "verbose" });
      expect(await device.exit, device.output()).toBe(0);
      expect(times(device, OVER)).toBe(times(device, BEGUN));
      device = successor;
      await eventually(() => expect(device.output()).toContain(BEGUN), PATIENCE_MS);
      answers(t.a, inner(2, 4), 5);
      await uapi(t.a, "tortie_handshake=1\n\n");
      answers(t.b, inner(1, 4), 5);
    });

    test("afterwards there is no filter any more, and what was dropped was counted", async () => {
      // Where the flood itself waits for a processor it may have been over for a while, and back.
      await eventually(() => expect(times(device, BEGUN) - times(device, OVER)).toBe(1), PATIENCE_MS);
      await stop();
      await eventually(() => expect(times(device, OVER)).toBe(times(device, BEGUN)), PATIENCE_MS);
      answers(t.a, inner(2, 4), 5);
      device.child.kill("SIGTERM");
      await device.exit;
      const drops = JSON.parse(/\{.*"packets dropped, by reason".*\}/.exec(device.output())![0]) as Record<string, number>;
      expect(drops.unknown_index).toBeGreaterThan(1000);
      expect(drops.socket_dropped).toBeGreaterThan(10_000);
    });
  });
