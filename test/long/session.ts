// The life of a session in real time, with every peer of the interop matrix in both roles, all side by side: renewed after 120 s without losing a packet;
// gone after 180 s of silence, and made anew by whoever speaks first; found again when one end was killed and the other speaks first.
import { setTimeout as sleep } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import { Bench, type Handshakes, inner, type Side, type Which } from "../interop/bench.ts";
import { type Kind, PEERS } from "../interop/peers.ts";
import type { Scenario } from "./main.ts";

const ROUNDS = 13;
const SILENCE_MS = 190_000;
/** A keepalive comes 10 s after the last packet that nothing answered, and perhaps once more. */
const SETTLE_MS = 25_000;
/** 15 s after a packet that nothing answered there is a handshake; and a busy machine. */
const FIND_AGAIN_S = 30;

/** A hundred pings in 10 s: how many were lost. The kernel counts the answers, for ping does not wait for the last. */
async function lost(from: Side, to: string): Promise<number> {
  const count = `$(busybox awk '/^Icmp: [0-9]/ { print $11 }' /proc/net/snmp)`;
  const script = `before=${count}
ping -n -q -i 0.1 -c 100 -W 2 ${to} >/dev/null
for i in $(busybox seq 40); do n=$((${count} - before)); [ $n -ge 100 ] && break; sleep 0.05; done
echo $((100 - n))`;
  return Number(await from.machine.sh(script));
}

function expectHandshakes(when: string, is: Handshakes, should: Handshakes): void {
  if (!isDeepStrictEqual(is, should)) throw new Error(`${when}: handshake messages were ${JSON.stringify(is)}, not ${JSON.stringify(should)}`);
}

async function life(kind: Kind, initiator: Which): Promise<string> {
  try {
    await live(await Bench.open(kind), initiator);
    return `${kind.name} (${initiator} first)`;
  } catch (thrown) {
    throw new Error(`${kind.name}, ${initiator} first: ${thrown instanceof Error ? thrown.message : String(thrown)}`, { cause: thrown });
  }
}

async function live(bench: Bench, initiator: Which): Promise<void> {
  const first = bench.side(initiator);
  const second = bench.other(first);
  /** `n` handshakes that `by` began. */
  const handshakes = (n: number, by: Side): Handshakes =>
    by === bench.ours ? { sent: [n, 0, 0], received: [0, n, 0] } : { sent: [0, n, 0], received: [n, 0, 0] };
  try {
    await bench.fresh({ outer: initiator === "ours" ? 4 : 6, psk: initiator === "theirs" });
    let total = 0;
    for (let i = 0; i < ROUNDS; i++) total += await lost(first, inner(second, 4));
    if (total > 0) throw new Error(`${total} of ${ROUNDS * 100} pings were lost`);
    expectHandshakes("130 s of pings", await bench.handshakes(), handshakes(2, first));

    await sleep(SETTLE_MS);
    const idle = await bench.show(bench.ours, "transfer");
    await sleep(SILENCE_MS - SETTLE_MS);
    if (!isDeepStrictEqual(await bench.show(bench.ours, "transfer"), idle)) throw new Error("something was sent while nobody spoke");
    expectHandshakes("silence", await bench.handshakes(), handshakes(0, first));
    if ((await lost(second, inner(first, 4))) > 0) throw new Error("pings after the silence were lost");
    expectHandshakes("after the silence", await bench.handshakes(), handshakes(1, second));

    for (const killed of [first, second]) {
      await bench.handshakes();
      await bench.restart(killed);
      const other = bench.other(killed);
      await other.machine.sh(`for i in $(busybox seq ${FIND_AGAIN_S}); do ping -n -q -c 1 -W 1 ${inner(killed, 4)} && exit; done; exit 1`);
      // On a busy machine the other's first initiation may come before the killed one is back.
      const is = await bench.handshakes();
      const asked = Math.max(1, (other === bench.ours ? is.sent : is.received)[0]);
      const should = handshakes(1, other);
      const part = other === bench.ours ? "sent" : "received";
      expectHandshakes("found again", is, { ...should, [part]: [asked, 0, 0] });
    }
  } finally {
    await bench.close();
  }
}

export const session: Scenario = {
  name: "sessions renewed after 120 s, gone after 180 s of silence, found again after a kill; no ping lost",
  minutes: 7,
  async run() {
    const kinds = PEERS.filter((k) => k.missing === undefined);
    const results = await Promise.allSettled(kinds.flatMap((k) => [life(k, "ours"), life(k, "theirs")]));
    const failures = results.flatMap((r) => (r.status === "rejected" ? [r.reason instanceof Error ? r.reason.message : String(r.reason)] : []));
    if (failures.length > 0) throw new Error(failures.join("; "));
    const missing = PEERS.flatMap((k) => (k.missing === undefined ? [] : [`${k.name} is missing (${k.missing})`]));
    return [...results.flatMap((r) => (r.status === "fulfilled" ? [r.value] : [])), ...missing].join("; ");
  },
};
