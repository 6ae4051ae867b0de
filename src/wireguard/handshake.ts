// Messages 1 and 2: the layouts of messages.ts around the steps of noise.ts. The two macs are left zero here; cookie.ts fills them.
import type { Crypto } from "./crypto.ts";
import { Initiation, MessageType, readU32, Response, TIMESTAMP_LENGTH, writeU32 } from "./messages.ts";
import {
  type Pair,
  readInitiationPayload,
  readInitiator,
  readResponse,
  type Start,
  type Transcript,
  writeInitiation,
  writeResponse,
} from "./noise.ts";

const NOTHING = new Uint8Array(0);

/** The initiator's state between the two messages. */
export type Initiator = { readonly index: number; readonly ephemeral: Pair; readonly transcript: Transcript };
/** The responder's view of an initiation that was opened as far as its sender's name. */
export type Opened = { readonly remote: Uint8Array; readonly sender: number; readonly ephemeral: Uint8Array; readonly transcript: Transcript };
export type TransportKeys = { readonly send: Uint8Array; readonly receive: Uint8Array };

/** undefined: the peer's key is of low order. */
export function makeInitiation(
  crypto: Crypto,
  start: Start,
  a: { index: number; local: Pair; ephemeral: Pair; remote: Uint8Array; ss: Uint8Array; timestamp: Uint8Array },
): { message: Uint8Array<ArrayBuffer>; initiator: Initiator } | undefined {
  const made = writeInitiation(crypto, start, { ...a, payload: a.timestamp });
  if (!made) return undefined;
  const message = new Uint8Array(Initiation.LENGTH);
  writeU32(message, 0, MessageType.INITIATION);
  writeU32(message, Initiation.SENDER, a.index);
  message.set(a.ephemeral.public, Initiation.EPHEMERAL);
  message.set(made.static, Initiation.STATIC);
  message.set(made.payload, Initiation.TIMESTAMP);
  return { message, initiator: { index: a.index, ephemeral: a.ephemeral, transcript: made.transcript } };
}

/** undefined: not for us, or not genuine. */
export function openInitiation(crypto: Crypto, start: Start, local: Pair, message: Uint8Array): Opened | undefined {
  const ephemeral = message.slice(Initiation.EPHEMERAL, Initiation.STATIC);
  const opened = readInitiator(crypto, start, { local, ephemeral, static: message.subarray(Initiation.STATIC, Initiation.TIMESTAMP) });
  return opened && { ...opened, sender: readU32(message, Initiation.SENDER), ephemeral };
}

/** Proves that the sender has the static key that it named. */
export function openTimestamp(opened: Opened, ss: Uint8Array, message: Uint8Array): Uint8Array | undefined {
  const stamp = readInitiationPayload(opened.transcript, ss, message.subarray(Initiation.TIMESTAMP, Initiation.MAC1));
  return stamp?.length === TIMESTAMP_LENGTH ? stamp : undefined;
}

/** Answers an opened initiation, whose transcript is used up. undefined: its ephemeral key is of low order. */
export function makeResponse(
  crypto: Crypto,
  opened: Opened,
  a: { index: number; ephemeral: Pair; psk: Uint8Array },
): { message: Uint8Array<ArrayBuffer>; keys: TransportKeys } | undefined {
  const t = opened.transcript;
  const empty = writeResponse(crypto, t, { ...a, remoteEphemeral: opened.ephemeral, remote: opened.remote, payload: NOTHING });
  if (!empty) return undefined;
  const message = new Uint8Array(Response.LENGTH);
  writeU32(message, 0, MessageType.RESPONSE);
  writeU32(message, Response.SENDER, a.index);
  writeU32(message, Response.RECEIVER, opened.sender);
  message.set(a.ephemeral.public, Response.EPHEMERAL);
  message.set(empty, Response.EMPTY);
  const [receive, send] = t.split();
  t.wipe();
  return { message, keys: { send, receive } };
}

/** Leaves the initiator's state as it is: a forged response must not disturb it. */
export function openResponse(
  crypto: Crypto,
  initiator: Initiator,
  a: { local: Pair; psk: Uint8Array },
  message: Uint8Array,
): TransportKeys | undefined {
  const t = initiator.transcript.clone();
  const opened = readResponse(crypto, t, {
    ...a,
    ephemeral: initiator.ephemeral,
    remoteEphemeral: message.slice(Response.EPHEMERAL, Response.EMPTY),
    payload: message.subarray(Response.EMPTY, Response.MAC1),
  });
  if (!opened) return undefined;
  const [send, receive] = t.split();
  t.wipe();
  return { send, receive };
}
