// Who speaks first. WireGuard starts no handshake without traffic, and two first messages that cross cost seconds: so the side with the lower public key
// speaks as soon as it has programmed the peer, the other only if there is still no handshake a while later. A few more tries cover a peer that
// learns of us late; after them the device's own timers and traffic are enough.
import { fromBase64, toBase64, wipe } from "../../base/bytes.ts";
import { messageOf } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import { connect, type UapiConnection } from "../../uapi/client.ts";
import type { PeerState } from "../../uapi/types.ts";

/**
 * Milliseconds after programming. The first message is lost when the other side does not know us yet: nodes of a cluster learn of each other within some
 * 100 ms. The gaps grow, because a new initiation makes the answer to the one before useless: one gap is longer than any round trip.
 */
const FIRST: readonly number[] = [0, 50, 150, 350, 800, 1_700, 3_500, 7_000];
const SECOND: readonly number[] = [300, 1_100, 2_200, 4_500];

/** Byte order of keys; base64's own order differs. */
export function isLower(a: string, b: string): boolean {
  const [x, y] = [fromBase64(a)!, fromBase64(b)!];
  const at = x.findIndex((v, i) => v !== y[i]);
  return at >= 0 && x[at]! < y[at]!;
}

export class Greeter {
  readonly #log: Log;
  readonly #timers = new Set<NodeJS.Timeout>();

  constructor(log: Log) {
    this.#log = log;
  }

  /** Peers (base64 keys) of a device were just programmed. `speakFirst`: they know us already, as after the device's restart: no need to wait. */
  greet(device: string, peers: readonly string[], own: string, speakFirst: boolean): void {
    const first = peers.filter((p) => speakFirst || isLower(own, p));
    this.#plan(device, first, FIRST);
    this.#plan(
      device,
      peers.filter((p) => !first.includes(p)),
      SECOND,
    );
  }

  /** Forgets what was planned. */
  stop(): void {
    for (const t of this.#timers) clearTimeout(t);
    this.#timers.clear();
  }

  #plan(device: string, peers: readonly string[], delays: readonly number[]): void {
    if (peers.length === 0) return;
    for (const ms of delays) {
      if (ms === 0) {
        void this.#speak(device, peers, false);
        continue;
      }
      const timer = setTimeout(() => {
        this.#timers.delete(timer);
        void this.#speak(device, peers, true);
      }, ms);
      this.#timers.add(timer.unref());
    }
  }

  /** `silent`: only to peers that have not answered yet. */
  async #speak(device: string, peers: readonly string[], silent: boolean): Promise<void> {
    try {
      const to = silent ? await using(device, (c) => unanswered(c, peers)) : peers;
      if (to.length === 0) return;
      await using(device, (c) => c.handshake(to.map((p) => fromBase64(p)!))).catch(() => using(device, (c) => nudge(c, to)));
    } catch (thrown) {
      this.#log.debug("cannot start a handshake", { error: messageOf(thrown) });
    }
  }
}

/** On a connection of its own: a device that does not know a request closes it, and the agent's must stay open. */
async function using<T>(device: string, work: (connection: UapiConnection) => Promise<T>): Promise<T> {
  const connection = await connect(device);
  try {
    return await work(connection);
  } finally {
    connection.close();
  }
}

/** For a device that is not ours: a keepalive interval that is switched on sends a keepalive at once, and with it a handshake where there is no session. */
async function nudge(connection: UapiConnection, peers: readonly string[]): Promise<void> {
  const state = await connection.get();
  wipe(state.privateKey);
  const found = state.peers.filter((p) => peers.includes(toBase64(p.publicKey)));
  const set = (seconds: (p: PeerState) => number): Promise<void> =>
    connection.set({ peers: found.map((p) => ({ publicKey: p.publicKey, updateOnly: true, persistentKeepalive: seconds(p) })) });
  await set(() => 0);
  await set((p) => p.persistentKeepalive || 1);
  await set((p) => p.persistentKeepalive);
}

async function unanswered(connection: UapiConnection, peers: readonly string[]): Promise<string[]> {
  const state = await connection.get();
  wipe(state.privateKey);
  const silent = new Set(state.peers.filter((p) => p.lastHandshakeSec === 0).map((p) => toBase64(p.publicKey)));
  return peers.filter((p) => silent.has(p));
}
