// WireGuard messages (section 2.6). wg.cookie, wg.mac2_ok and wg.session.* are ours; wg.timestamp.value is the sender's Unix clock, where Wireshark
// shows 10 s more (section 1.7).
import { toBase64, toHex } from "../../base/bytes.ts";
import { Cookie, Data, DATA_HEADER, Initiation, Response } from "../../wireguard/messages.ts";
import { type InitiationMessage, isKeepalive, MESSAGE_NAMES, type ResponseMessage } from "../message.ts";
import { timestampOf } from "../replay.ts";
import type { StaticKey } from "../secrets.ts";
import type { Session } from "../session.ts";
import { expert } from "./frame.ts";
import type { Part } from "./part.ts";
import { bytes, generated, mark, number, type Protocol, type Row, text, truth, when } from "./row.ts";

const kind = (p: Part): number => p.message!.message.type;
const session = (p: Part): Session | undefined => p.message!.session;
const is =
  (...kinds: readonly number[]) =>
  (p: Part): boolean =>
    kinds.includes(kind(p));
/** A field that stands at one place in messages of one kind and at another in others; -1: not in this kind. */
const by = (p: Part, one: number, two: number, three = -1, four = -1): number => [one, two, three, four][kind(p) - 1] ?? -1;

const little = (name: string, label: string, at: (p: Part) => number): Row =>
  number(
    name,
    label,
    (p) => {
      const b = at(p) < 0 ? undefined : p.bytesAt(at(p), 4);
      return b && (b[0]! | (b[1]! << 8) | (b[2]! << 16) | (b[3]! << 24)) >>> 0;
    },
    { base: "hex", size: 4, place: (p) => [at(p), 4] },
  );
/** Sealed bytes: there, with a length, and no value. */
const sealed = (name: string, label: string, kinds: readonly number[], at: number, length?: number, rows: readonly Row[] = []): Row =>
  mark(name, label, (p) => kinds.includes(kind(p)) && p.end > p.at + at, {
    place: (p) => [at, Math.min(p.end - p.at - at, length ?? Infinity)],
    rows,
  });
const plain = (name: string, label: string, at: (p: Part) => number, length: number): Row =>
  bytes(name, label, 0, length, {
    place: (p) => [at(p), length],
    read: (p) => (at(p) < 0 ? undefined : p.bytesAt(at(p), length)),
  });

const ephemeralOf = (p: Part): Uint8Array | undefined =>
  is(1, 2)(p) ? (p.message!.message as InitiationMessage | ResponseMessage).ephemeral : undefined;
const openedStatic = (p: Part): Uint8Array | undefined => (kind(p) === 1 ? session(p)?.begun?.initiatorStatic : undefined);
const timestamp = (p: Part): Uint8Array | undefined => (kind(p) === 1 ? session(p)?.begun?.timestamp : undefined);
const addressee = (p: Part): StaticKey | undefined => (p.message!.addressee ? p.scope.secrets?.static(p.message!.addressee) : undefined);
const known = (k: Uint8Array | undefined, p: Part): StaticKey | undefined => k && p.scope.secrets?.static(k);
const keyText = (v: string, key: StaticKey | undefined): string => `${v}${key?.name ? ` (${key.name})` : ""}`;
const view = (b: Uint8Array): DataView => new DataView(b.buffer, b.byteOffset, b.length);
const KEEPALIVE = "This is a Keepalive message";

export const WIREGUARD: Protocol = {
  name: "wg",
  title: () => "WireGuard Protocol",
  rows: [
    number("wg.type", "Type", kind, { place: [0, 1], words: MESSAGE_NAMES, shown: (v: 1 | 2 | 3 | 4) => `${MESSAGE_NAMES[v]} (${v})` }),
    bytes("wg.reserved", "Reserved", 1, 3),
    little("wg.sender", "Sender", (p) => by(p, Initiation.SENDER, Response.SENDER)),
    little("wg.receiver", "Receiver", (p) => by(p, -1, Response.RECEIVER, Cookie.RECEIVER, Data.RECEIVER)),
    text("wg.ephemeral", "Ephemeral", (p) => (ephemeralOf(p) ? toBase64(ephemeralOf(p)!) : undefined), {
      place: (p) => [by(p, Initiation.EPHEMERAL, Response.EPHEMERAL), 32],
      rows: [
        generated(
          truth("wg.ephemeral.known_privkey", "Has Private Key", (p) =>
            ephemeralOf(p) ? p.scope.secrets?.ephemeral(ephemeralOf(p)!) !== undefined : undefined,
          ),
        ),
      ],
    }),
    sealed("wg.encrypted_static", "Encrypted Static", [1], Initiation.STATIC, 48),
    text("wg.static", "Static Public Key", (p) => (openedStatic(p) ? toBase64(openedStatic(p)!) : undefined), {
      place: [0, 32],
      pane: "Decrypted Static",
      shown: (v: string, p: Part) => keyText(v, known(openedStatic(p), p)),
      rows: [
        generated(
          truth("wg.static.known_pubkey", "Known Public Key", (p) => (openedStatic(p) ? known(openedStatic(p), p) !== undefined : undefined)),
        ),
        generated(
          truth("wg.static.known_privkey", "Has Private Key", (p) =>
            openedStatic(p) ? known(openedStatic(p), p)?.privateKey !== undefined : undefined,
          ),
        ),
      ],
    }),
    sealed("wg.encrypted_timestamp", "Encrypted Timestamp", [1], Initiation.TIMESTAMP, 28),
    {
      name: "wg.timestamp.value",
      label: "Timestamp",
      type: "time",
      read: (p) => (timestamp(p) ? timestampOf(timestamp(p)!) : undefined),
      place: [0, 12],
      pane: "Decrypted Timestamp",
      rows: [
        number("wg.timestamp.tai64_label", "TAI64 Label", (p) => (timestamp(p) ? view(timestamp(p)!).getBigUint64(0) : undefined)),
        number("wg.timestamp.nanoseconds", "Nanoseconds", (p) => (timestamp(p) ? view(timestamp(p)!).getUint32(8) : undefined)),
      ],
    },
    sealed("wg.encrypted_empty", "Encrypted Empty", [2], Response.EMPTY, 16),
    generated(
      truth("wg.handshake_ok", "Handshake decryption successful", (p) =>
        kind(p) === 2 && session(p)?.begun?.initiatorStatic ? session(p)!.answered?.kind === "open" : undefined,
      ),
    ),
    plain("wg.mac1", "mac1", (p) => by(p, Initiation.MAC1, Response.MAC1), 16),
    generated(
      text("wg.receiver_pubkey", "Receiver Static Public Key", (p) => (addressee(p) ? toBase64(addressee(p)!.publicKey) : undefined), {
        shown: (v: string, p: Part) => keyText(v, addressee(p)),
        rows: [
          generated(
            truth("wg.receiver_pubkey.known_privkey", "Has Private Key", (p) => (addressee(p) ? addressee(p)!.privateKey !== undefined : undefined)),
          ),
        ],
      }),
    ),
    plain("wg.mac2", "mac2", (p) => by(p, Initiation.MAC2, Response.MAC2), 16),
    generated(truth("wg.mac2_ok", "mac2 verifies under the cookie", (p) => (p.message!.mac2Ok ? true : undefined))),
    plain("wg.nonce", "Nonce", (p) => by(p, -1, -1, Cookie.NONCE), 24),
    plain("wg.encrypted_cookie", "Encrypted Cookie", (p) => by(p, -1, -1, Cookie.SEALED), 32),
    generated({
      ...bytes("wg.cookie", "Cookie", 0),
      place: [0, 0],
      read: (p) => (kind(p) === 3 ? session(p)?.cookie : undefined),
      shown: (v: Uint8Array) => toHex(v),
    }),
    when(
      is(4),
      number("wg.counter", "Counter", (p) => (p.message!.message.type === 4 ? p.message!.message.counter : undefined), { place: [Data.COUNTER, 8] }),
    ),
    sealed("wg.encrypted_packet", "Encrypted Packet", [4], DATA_HEADER, undefined, [
      expert("wg.keepalive", (p) => (isKeepalive(p.message!.message) ? KEEPALIVE : undefined), "Chat", "Sequence"),
      expert("wg.decryption_error", (p) => (p.message!.failure === "bad tag" ? "Packet decryption failed" : undefined), "Warning", "Decryption"),
    ]),
    generated(number("wg.stream", "Stream index", (p) => (session(p)?.initiation ? session(p)!.number : undefined))),
    when(is(1), generated(number("wg.response_in", "Response in Frame", (p) => session(p)?.response?.frame))),
    when(is(2), generated(number("wg.response_to", "Response to Frame", (p) => session(p)?.initiation?.frame))),
    generated(number("wg.session.number", "Session", (p) => session(p)?.number)),
    generated(
      text("wg.session.way", "Way", (p) =>
        p.message!.way === undefined ? undefined : p.message!.way === "toResponder" ? "to responder" : "to initiator",
      ),
    ),
    generated(text("wg.session.failure", "Not opened", (p) => p.message!.failure)),
    generated(truth("wg.session.authenticated", "Tag verified", (p) => p.message!.opened?.authenticated)),
    generated(number("wg.session.padding", "Padding behind the packet", (p) => p.message!.opened?.padding)),
  ],
};
