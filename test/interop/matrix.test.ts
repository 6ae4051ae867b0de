// Our device with each peer (peers.ts): every row of ROWS, over IPv4 and IPv6, with and without a pre-shared key, with either end as the initiator.
// Real-time cases are in test/long; the page is docs/interop.md.
import { beforeAll, describe, expect, test } from "vitest";
import { setTimeout as sleep } from "node:timers/promises";
import { eventually } from "../device/host.ts";
import { uapi } from "../device/tunnel.ts";
import { describeRoot, describeWith } from "../peers.ts";
import { Bench, endpoint, type Family, inner, outer, PORT, type Setup, type Side, type Which } from "./bench.ts";
import { sendData } from "./machine.ts";
import { IF, PEERS, type Userspace } from "./peers.ts";

type Cell = { readonly bench: Bench; readonly setup: Setup; readonly first: Side; readonly second: Side };
type Row = { readonly name: string; readonly run: (cell: Cell) => Promise<void> };

/** The first packet makes the session and is not lost; the other end's go through it. */
async function handshake({ bench, setup, first, second }: Cell, mtu?: Pick<Setup, "mtu" | "wireMtu">): Promise<void> {
  await bench.fresh({ ...setup, ...mtu });
  await bench.ping(first, 4);
  await bench.ping(second, 6);
  const seen = await bench.handshakes();
  const [asks, answers] = first === bench.ours ? [seen.sent, seen.received] : [seen.received, seen.sent];
  oneAsks(asks, answers);
}
function oneAsks(asks: readonly number[], answers: readonly number[]): void {
  expect([asks, answers], "one side asks, the other answers").toEqual([
    [expect.any(Number), 0, 0],
    [0, expect.any(Number), 0],
  ]);
  // On a busy machine one may be lost, and is sent again after 5 s.
  expect(asks[0]).toBeLessThanOrEqual(2);
  expect(answers[1]).toBeGreaterThan(0);
}

/** Both ends at once send some MB by TCP; what arrives is what was sent. */
async function transfer({ bench, first, second }: Cell, family: Family, senders: readonly Side[] = [first, second]): Promise<void> {
  const digests = await Promise.all(senders.map((from) => sendData(from.machine, inner(bench.other(from), family))));
  expect(digests).toEqual(senders.map((from) => from.digest));
}

/** Our initiation was answered. Under load, or where a neighbour is not known yet, it may be lost on the way, and is sent again after 5 s. */
async function answered(bench: Bench): Promise<void> {
  const sum = { sent: [0, 0, 0], received: [0, 0, 0] };
  await eventually(async () => {
    const { sent, received } = await bench.handshakes();
    sum.sent = sum.sent.map((n, i) => n + sent[i]!);
    sum.received = sum.received.map((n, i) => n + received[i]!);
    if (sum.received[1] === 0) throw new Error(`no answer to ${sum.sent[0]} initiations`);
  });
  expect(sum).toEqual({ sent: [sum.sent[0], 0, 0], received: [0, 1, 0] });
}

const noHandshake = { sent: [0, 0, 0], received: [0, 0, 0] };

/** How many fragments an end's kernel has made: "IPv4 IPv6". */
const fragments = (side: Side): Promise<string> =>
  side.machine.sh(`busybox awk '/^Ip:/ { n4 = $20 } /^Ip6FragCreates/ { print n4, $2 }' /proc/net/snmp /proc/net/snmp6`);

const mtu = (size: number, wireMtu?: number): Row => ({
  name: wireMtu === undefined ? `MTU ${size}` : `MTU ${size} on a wire of ${wireMtu}`,
  run: async (cell) => {
    const { bench, first, second } = cell;
    await handshake(cell, { mtu: size, ...(wireMtu === undefined ? {} : { wireMtu }) });
    const before = await Promise.all([first, second].map(fragments));
    for (const from of [first, second]) {
      // A packet that fills the link goes through as it is.
      await bench.ping(from, 4, 1, `-M do -s ${size - 28}`);
      await bench.ping(from, 6, 1, `-M do -s ${size - 48}`);
    }
    const after = await Promise.all([first, second].map(fragments));
    if (wireMtu === undefined) expect(after).toEqual(before);
    else expect(after).not.toEqual(before);
    await bench.ping(first, 4, 1, "-s 20000");
    await bench.ping(second, 4, 1, "-s 20000");
    // wireguard-go hands the kernel bursts that do not fit such a wire, which the kernel refuses: here we alone send much.
    const senders = wireMtu === undefined ? [first, second] : [bench.ours];
    await transfer(cell, 4, senders);
    await transfer(cell, 6, senders);
  },
});

const roams = (which: Which): Row => ({
  name: `${which === "ours" ? "our" : "their"} address and port change`,
  run: async (cell) => {
    const { bench, setup } = cell;
    await handshake(cell);
    const mover = bench.side(which);
    const other = bench.other(mover);
    const family = setup.outer;
    await mover.machine.sh(`set -e
ip addr del ${outer(mover.n, family)}/${family === 4 ? 24 : 64} dev eth0
ip addr add ${outer(mover.n + 10, family)}/${family === 4 ? "24" : "64 nodad"} dev eth0
wg set ${IF} listen-port ${PORT + 1}`);
    await bench.ping(mover, 4);
    expect(await bench.show(other, "endpoints")).toEqual([endpoint(mover.n + 10, family, PORT + 1)]);
    await bench.ping(other, 6);
    await transfer(cell, 4);
    expect(await bench.handshakes()).toEqual(noHandshake);
  },
});

const restarts = (which: Which): Row => ({
  name: `${which === "ours" ? "we start" : "they start"} again`,
  run: async (cell) => {
    const { bench } = cell;
    await handshake(cell);
    const restarted = bench.side(which);
    const other = bench.other(restarted);
    await bench.restart(restarted);
    await bench.ping(restarted, 4);
    await bench.ping(other, 6);
    await transfer(cell, 4);
    const { sent, received } = await bench.handshakes();
    oneAsks(...(which === "ours" ? ([sent, received] as const) : ([received, sent] as const)));
  },
});

const ROWS: readonly Row[] = [
  {
    name: "a session; bytes counted alike",
    run: async (cell) => {
      const { bench, first, second, setup } = cell;
      await handshake(cell);
      await bench.ping(first, 6, 3);
      await bench.ping(second, 4, 3);
      expect(await bench.show(first, "endpoints")).toEqual([endpoint(second.n, setup.outer)]);
      expect(await bench.show(second, "endpoints")).toEqual([endpoint(first.n, setup.outer)]);
      for (const side of [first, second]) expect(Number((await bench.show(side, "latest-handshakes"))[0])).toBeGreaterThan(Date.now() / 1000 - 60);
      const [mine, yours] = await Promise.all([first, second].map(async (side) => (await bench.show(side, "transfer")).map(Number)));
      // A keepalive may be under way while we look.
      expect(Math.abs(mine![0]! - yours![1]!)).toBeLessThanOrEqual(64);
      expect(Math.abs(mine![1]! - yours![0]!)).toBeLessThanOrEqual(64);
      await transfer(cell, 4);
      await transfer(cell, 6);
      expect(await bench.handshakes()).toEqual(noHandshake);
    },
  },
  mtu(1280),
  mtu(1420),
  mtu(8920),
  mtu(8920, 1500),
  {
    name: "a new session while packets flow",
    run: async (cell) => {
      const { bench, first } = cell;
      await handshake(cell);
      for (let i = 0; i < 3; i++) {
        const sending = transfer(cell, 4);
        // A peer takes no more than one initiation in 20 ms.
        await sleep(25);
        expect(await uapi({ host: (bench.ours.peer as Userspace).machine }, "tortie_handshake=1\n\n")).toBe("errno=0\n\n");
        await sending;
        await bench.ping(bench.other(first), 6);
        await answered(bench);
      }
    },
  },
  roams("ours"),
  roams("theirs"),
  restarts("ours"),
  restarts("theirs"),
];

const ROLES: readonly Which[] = ["ours", "theirs"];
const cells = ROWS.flatMap((row) => [false, true].flatMap((psk) => ROLES.map((initiator) => ({ name: row.name, row, psk, initiator }))));

describeRoot("our device", () => {
  describeWith(["wg", "ping", "nft", "busybox"], "meets", () => {
    for (const kind of PEERS) {
      const title = kind.missing === undefined ? kind.name : `${kind.name} [skipped: not here; ${kind.missing}]`;
      describe.skipIf(kind.missing !== undefined)(title, () => {
        let bench: Bench;
        beforeAll(async () => {
          bench = await Bench.open(kind);
          return () => bench.close();
        });
        describe.for<Family>([4, 6])("over IPv%i", (family) => {
          // A process of the current wireguard-go that has sent to an IPv4 address sends what is for an IPv6 address elsewhere.
          beforeAll(() => bench.startAgain());
          test.for(cells)("$name; psk $psk, initiator $initiator", ({ row, psk, initiator }) => {
            const first = bench.side(initiator);
            return row.run({ bench, setup: { outer: family, psk }, first, second: bench.other(first) });
          });
        });
      });
    }
  });
});
