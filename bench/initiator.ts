// Many peers that start handshakes with one device as fast as it answers. All initiations are made before, and all answers are opened after the clock: in
// between there is only sending and receiving, so that the device is what limits. A process of its own, started by handshakes.ts in the other namespace:
//   stdout, first line: the peers' public keys; a byte on stdin: go; stdout, second line: what came of it. Private keys stay here.
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { fromBase64, toBase64 } from "../src/base/bytes.ts";
import { opensslCrypto } from "../src/crypto/openssl.ts";
import { CookieMaker } from "../src/wireguard/cookie.ts";
import { type Initiator, makeInitiation, openResponse } from "../src/wireguard/handshake.ts";
import { MessageType, readU32, Response } from "../src/wireguard/messages.ts";
import { generate, type Pair, PROLOGUE, start, Transcript } from "../src/wireguard/noise.ts";
import { secret } from "../src/wireguard/secret.ts";
import { tai64n } from "../src/wireguard/tai64n.ts";

export type Outcome = {
  readonly answered: number;
  readonly opened: number;
  readonly unanswered: number;
  readonly cookies: number;
  readonly seconds: number;
};

/** Under way at once: below the eighth of 1,024 at which devices begin to demand cookies. */
const WINDOW = 48;
/** An initiation without an answer for so long is given up. */
const PATIENCE_MS = 500;

const [address = "", port = "", devicePublic = "", peers = "", count = ""] = process.argv.slice(2);
const crypto = opensslCrypto();
const inPlace = crypto.inPlace!(secret(1024));
const transcript = new Transcript(inPlace);
const session = { send: secret(), receive: secret() };
const begin = start(crypto, PROLOGUE);
const remote = fromBase64(devicePublic)!;
const NO_PSK = new Uint8Array(32);

const locals = Array.from({ length: Number(peers) }, (): Pair & { ss: Uint8Array } => {
  const pair = generate(crypto, inPlace, secret());
  return { ...pair, ss: crypto.dh(pair.private, remote)! };
});
const macs = new CookieMaker(crypto, remote);
const wall = Date.now();
type Prepared = { readonly local: Pair; readonly initiator: Initiator; readonly message: Uint8Array; answer: Uint8Array | undefined; sentAt: number };
// The n-th initiation has index n; a peer's timestamps grow by more than what their whitening hides.
const prepared = Array.from({ length: Number(count) }, (_, index): Prepared => {
  const local = locals[index % locals.length]!;
  const ephemeral = generate(crypto, inPlace, secret());
  const timestamp = tai64n(wall + 100 * Math.floor(index / locals.length));
  const message = makeInitiation(transcript, begin, { index, local, ephemeral, remote, ss: local.ss, timestamp })!;
  const saved = { chain: secret(), hash: secret() };
  transcript.save(saved);
  macs.fill(message, 0);
  return { local, initiator: { index, ephemeral, saved }, message, answer: undefined, sentAt: 0 };
});

const socket = createSocket("udp4");
socket.connect(Number(port), address);
await once(socket, "connect");
process.stdout.write(`${locals.map((l) => toBase64(l.public)).join(",")}\n`);
await once(process.stdin, "data");

let next = 0;
let answered = 0;
let cookies = 0;
let unanswered = 0;
let last = 0;
const send = (): void => {
  if (next === prepared.length) return;
  const p = prepared[next++]!;
  p.sentAt = performance.now();
  socket.send(p.message);
};
const started = performance.now();
await new Promise<void>((done) => {
  const settle = (): void => {
    if (answered + unanswered === prepared.length) done();
  };
  socket.on("message", (message: Buffer) => {
    const type = readU32(message, 0);
    if (type === MessageType.COOKIE) cookies++;
    const p = type === MessageType.RESPONSE ? prepared[readU32(message, Response.RECEIVER)] : undefined;
    if (p === undefined || p.answer !== undefined) return;
    p.answer = Uint8Array.from(message);
    answered++;
    last = performance.now();
    send();
    settle();
  });
  let oldest = 0;
  setInterval(() => {
    for (; oldest < next; oldest++) {
      if (prepared[oldest]!.answer !== undefined) continue;
      if (performance.now() - prepared[oldest]!.sentAt < PATIENCE_MS) break;
      unanswered++;
      send();
    }
    settle();
  }, 20).unref();
  for (let i = 0; i < WINDOW; i++) send();
});
const opened = prepared.filter(
  (p) => p.answer !== undefined && openResponse(transcript, p.initiator, { local: p.local, psk: NO_PSK }, p.answer, session),
);
const outcome: Outcome = { answered, opened: opened.length, unanswered, cookies, seconds: (last - started) / 1000 };
process.stdout.write(`${JSON.stringify(outcome)}\n`);
process.exit(0);
