// A running device's state taken out of the tables, and put into the tables of its successor. Both while no data thread works: the counters that are read
// here are the ones that are handed out next, there and nowhere else. Two things are left behind: the secret of our cookies (who was given one asks again),
// and an initiation that waits for its response (the successor sends a new one at once).
import { TortieError } from "../base/errors.ts";
import type { AllowedIps } from "./allowedips.ts";
import { writeEndpoint } from "./endpoint.ts";
import type { Indices } from "./indices.ts";
import type { Keypairs } from "./keypairs.ts";
import type { PeerState } from "./peer.ts";
import { pushWant } from "./rings.ts";
import { writeLocked } from "./roaming.ts";
import { keep } from "./secret.ts";
import { type KeypairSnapshot, type PeerSnapshot, WINDOW_BYTES } from "./snapshot.ts";
import { stage } from "./staged.ts";
import { Keypair, keypairOf, Row, Staged, type Tables, Traffic } from "./tables.ts";
import { traffic, trafficOf } from "./traffic.ts";

export type HandOverParts = {
  readonly tables: Tables;
  readonly keypairs: Keypairs;
  readonly indices: Indices<PeerState>;
  readonly allowedIps: AllowedIps;
};

const NUMBERS = [
  "lastHandshakeSent",
  "lastInitiationReceived",
  "lastHandshake",
  "retransmit",
  "zeroKeys",
  "attempts",
  "jitter",
  "persistentKeepalive",
  "lastTraversal",
  "handshakeRxBytes",
  "handshakeTxBytes",
] as const satisfies readonly (keyof PeerState)[];
const WORDS = ["ASKS", "WANTS", "FIRST_DATA_SENT", "FIRST_DATA_RECEIVED", "NEED_ANOTHER", "LAST_SENT", "LAST_RECEIVED"] as const;
const TRAFFIC = ["RX_BYTES", "TX_BYTES", "RX_PACKETS", "TX_PACKETS"] as const;
const PLACES = [Row.CURRENT, Row.PREVIOUS, Row.NEXT];

/** Names of a peer's numbers, in their order. */
export const NAMES: readonly string[] = [...NUMBERS, ...WORDS, ...TRAFFIC];

type Setter = (t: Tables, peer: PeerState, value: number) => void;
const SETTERS: ReadonlyMap<string, Setter> = new Map<string, Setter>([
  ...NUMBERS.map((name): [string, Setter] => [name, (_, peer, value) => (peer[name] = value)]),
  ...WORDS.map((name): [string, Setter] => [name, (t, peer, value) => (t.i32[peer.row + Row[name]] = value)]),
  ...TRAFFIC.map((name): [string, Setter] => [name, (t, peer, value) => (t.f64[(trafficOf(t, 0, peer.slot) >>> 1) + Traffic[name]] = value)]),
  // Also puts the peer on the list of those that want something.
  ["WANTS", (t, peer, value) => value !== 0 && pushWant(t, peer.slot, value)],
]);

export function peerSnapshot({ tables: t, allowedIps }: HandOverParts, peer: PeerState): PeerSnapshot {
  const at = peer.endpoint();
  const numbers = [
    ...NUMBERS.map((name) => peer[name]),
    ...WORDS.map((name) => t.i32[peer.row + Row[name]]!),
    ...TRAFFIC.map((name) => traffic(t, peer.slot, Traffic[name])),
  ];
  if (peer.initiator) {
    // Its successor does not know the initiation that is under way: the next one is due now, and no rate limit holds it back.
    numbers[NUMBERS.indexOf("retransmit")] = 0;
    numbers[NUMBERS.indexOf("lastHandshakeSent")] = -Infinity;
  }
  return {
    publicKey: peer.publicKey,
    presharedKey: peer.presharedKey(),
    shared: peer.ss && keep(peer.ss),
    endpoint: at && { ip: at.ip, port: at.port, scope: at.scope ?? 0, source: at.source?.ip, sourceInterface: at.source?.interface ?? 0 },
    allowedIps: [...allowedIps.of(peer.slot)],
    lastStamp: peer.lastStamp,
    greatestStamp: peer.greatestStamp,
    numbers,
    keypairs: PLACES.flatMap((word, place) => {
      const slot = t.i32[peer.row + word]! - 1;
      return slot < 0 ? [] : [keypairSnapshot(t, keypairOf(t, slot), place)];
    }),
    staged: stagedPackets(t, peer.row),
  };
}

function keypairSnapshot(t: Tables, k: number, place: number): KeypairSnapshot {
  const window = new Uint8Array(WINDOW_BYTES);
  window.set(t.u8.subarray(4 * (k + Keypair.REPLAY), 4 * (k + Keypair.REPLAY) + 8));
  window.set(t.u8.subarray(4 * (k + Keypair.RING), 4 * (k + Keypair.RING) + WINDOW_BYTES - 8), 8);
  return {
    place,
    local: t.u32[k + Keypair.LOCAL]!,
    remote: t.u32[k + Keypair.REMOTE]!,
    created: t.i32[k + Keypair.CREATED]!,
    initiator: t.i32[k + Keypair.INITIATOR] === 1,
    usable: t.i32[k + Keypair.USABLE]!,
    renewalAsked: t.i32[k + Keypair.RENEWAL_ASKED] === 1,
    sendLo: t.u32[k + Keypair.SEND_LO]!,
    sendHi: t.u32[k + Keypair.SEND_HI]!,
    sendKey: keep(t.u8.subarray(4 * (k + Keypair.SEND_KEY), 4 * (k + Keypair.SEND_KEY) + 32)),
    receiveKey: keep(t.u8.subarray(4 * (k + Keypair.RECEIVE_KEY), 4 * (k + Keypair.RECEIVE_KEY) + 32)),
    window,
  };
}

function stagedPackets(t: Tables, row: number): Uint8Array[] {
  const packets: Uint8Array[] = [];
  for (let link = t.i32[row + Row.STAGED_FIRST]!; link !== 0;) {
    const slot = t.staged + (link - 1) * t.stagedWords;
    packets.push(keep(t.u8.subarray(4 * slot + Staged.PACKET_BYTES, 4 * slot + Staged.PACKET_BYTES + t.i32[slot + Staged.LENGTH]!)));
    link = t.i32[slot + Staged.NEXT]!;
  }
  return packets;
}

/** Fills a peer that was just added. A number whose `names` we do not know is of another version. Throws TortieError when something has no room. */
export function restorePeer(parts: HandOverParts, peer: PeerState, from: PeerSnapshot, names: readonly string[]): void {
  const { tables: t, keypairs, indices, allowedIps } = parts;
  names.forEach((name, i) => SETTERS.get(name)?.(t, peer, from.numbers[i] ?? 0));
  peer.cells.presharedKey.set(from.presharedKey);
  peer.lastStamp = from.lastStamp;
  peer.greatestStamp = from.greatestStamp;
  const e = from.endpoint;
  if (e) {
    const source = e.source && { ip: e.source, interface: e.sourceInterface };
    writeLocked(t, peer.slot, (at) => writeEndpoint(t.u8, t.u32, at, { ip: e.ip, port: e.port, scope: e.scope, source }));
  }
  for (const prefix of from.allowedIps) if (!allowedIps.add(peer.slot, prefix)) throw full("allowed IPs");
  for (const k of from.keypairs) restoreKeypair(t, peer, k, { keypairs, indices });
  for (const packet of from.staged) restoreStaged(t, peer, packet);
}

function restoreKeypair(t: Tables, peer: PeerState, from: KeypairSnapshot, { keypairs, indices }: Pick<HandOverParts, "keypairs" | "indices">): void {
  if (!indices.claim(from.local, peer)) throw full("sessions");
  const place = PLACES[from.place];
  if (place === undefined) throw new TortieError(`Cannot take over a session: there is no place ${from.place}`);
  const adopted = keypairs.adopt(peer.slot, place, (k) => {
    t.u32[k + Keypair.LOCAL] = from.local;
    t.u32[k + Keypair.REMOTE] = from.remote;
    t.i32[k + Keypair.CREATED] = from.created;
    t.i32[k + Keypair.INITIATOR] = from.initiator ? 1 : 0;
    t.i32[k + Keypair.RENEWAL_ASKED] = from.renewalAsked ? 1 : 0;
    t.u32[k + Keypair.SEND_LO] = from.sendLo;
    t.u32[k + Keypair.SEND_HI] = from.sendHi;
    t.u8.set(from.sendKey, 4 * (k + Keypair.SEND_KEY));
    t.u8.set(from.receiveKey, 4 * (k + Keypair.RECEIVE_KEY));
    t.u8.set(from.window.subarray(0, 8), 4 * (k + Keypair.REPLAY));
    t.u8.set(from.window.subarray(8), 4 * (k + Keypair.RING));
    Atomics.store(t.i32, k + Keypair.USABLE, from.usable);
  });
  if (!adopted) throw full("sessions");
}

function restoreStaged(t: Tables, peer: PeerState, packet: Uint8Array): void {
  // Whatever lies at the start of the memory is copied, and then overwritten.
  if (stage(t, peer.slot, 0, packet.length) !== 0) throw full("packets that wait");
  const slot = t.staged + (t.i32[peer.row + Row.STAGED_LAST]! - 1) * t.stagedWords;
  t.u8.set(packet, 4 * slot + Staged.PACKET_BYTES);
}

const full = (what: string): TortieError => new TortieError(`Cannot take over a device: its ${what} have no room here`);
