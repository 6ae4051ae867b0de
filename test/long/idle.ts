// A session that nobody used for longer than 180 s is gone; the first packet makes a new one.
import { setTimeout as sleep } from "node:timers/promises";
import { IF, inner, ping, tunnel, WG } from "../device/tunnel.ts";
import type { Scenario } from "./main.ts";

const IDLE_MS = 190_000;

export const idle: Scenario = {
  name: "190 s without a packet, then a ping",
  minutes: 4,
  async run() {
    const t = await tunnel();
    try {
      t.configure();
      ping(t.a, inner(2, 4));
      const handshake = (): string => t.a.host.run(WG, "show", IF, "latest-handshakes").trim().split("\t")[1]!;
      const before = handshake();
      await sleep(IDLE_MS);
      if (handshake() !== before) throw new Error("there was a handshake while nobody sent");
      if (ping(t.b, inner(1, 4), 3) !== 3) throw new Error("pings after the pause were lost");
      if (handshake() === before) throw new Error("there was no new handshake after the pause");
      return "answered by a new session, none lost; no packet while idle";
    } finally {
      await t.close();
    }
  },
};
