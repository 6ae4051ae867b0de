// Messages 1 and 2: the layouts of messages.ts around the steps of noise.ts. The two macs are left zero here; cookie.ts fills them. The transcript is
// the caller's: what it must keep between the messages, it saves; what it is done with, it wipes.
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
export type Initiator = { readonly index: number; readonly ephemeral: Pair; readonly saved: Start };
/** The responder's view of an initiation that was opened as far as its sender's name. */
export type Opened = { readonly remote: Uint8Array; readonly sender: number; readonly ephemeral: Uint8Array };
/** Where the keys of a session are: secret cells. */
export type TransportKeys = { readonly send: Uint8Array; readonly receive: Uint8Array };

/** The transcript is then to be saved. undefined: the peer's key is of low order. */
export function makeInitiation(
  t: Transcript,
  start: Start,
  a: { index: number; local: Pair; ephemeral: Pair; remote: Uint8Array; ss: Uint8Array; timestamp: Uint8Array },
): Uint8Array<ArrayBuffer> | undefined {
  const message = new Uint8Array(Initiation.LENGTH);
  const out = {
    static: message.subarray(Initiation.STATIC, Initiation.TIMESTAMP),
    payload: message.subarray(Initiation.TIMESTAMP, Initiation.MAC1),
  };
  if (!writeInitiation(t, start, { ...a, payload: a.timestamp }, out)) return undefined;
  writeU32(message, 0, MessageType.INITIATION);
  writeU32(message, Initiation.SENDER, a.index);
  message.set(a.ephemeral.public, Initiation.EPHEMERAL);
  return message;
}

/** undefined: not for us, or not genuine. */
export function openInitiation(t: Transcript, start: Start, local: Pair, message: Uint8Array): Opened | undefined {
  const ephemeral = message.slice(Initiation.EPHEMERAL, Initiation.STATIC);
  const remote = readInitiator(t, start, { local, ephemeral, static: message.subarray(Initiation.STATIC, Initiation.TIMESTAMP) });
  return remote && { remote, sender: readU32(message, Initiation.SENDER), ephemeral };
}

/** Proves that the sender has the static key that it named. */
export function openTimestamp(t: Transcript, ss: Uint8Array, message: Uint8Array): Uint8Array | undefined {
  const stamp = readInitiationPayload(t, ss, message.subarray(Initiation.TIMESTAMP, Initiation.MAC1));
  return stamp?.length === TIMESTAMP_LENGTH ? stamp : undefined;
}

/** Answers an opened initiation; the session's keys go to `keys`. undefined: its ephemeral key is of low order. */
export function makeResponse(
  t: Transcript,
  opened: Opened,
  a: { index: number; ephemeral: Pair; psk: Uint8Array },
  keys: TransportKeys,
): Uint8Array<ArrayBuffer> | undefined {
  const message = new Uint8Array(Response.LENGTH);
  const out = message.subarray(Response.EMPTY, Response.MAC1);
  if (!writeResponse(t, { ...a, remoteEphemeral: opened.ephemeral, remote: opened.remote, payload: NOTHING }, out)) return undefined;
  writeU32(message, 0, MessageType.RESPONSE);
  writeU32(message, Response.SENDER, a.index);
  writeU32(message, Response.RECEIVER, opened.sender);
  message.set(a.ephemeral.public, Response.EPHEMERAL);
  t.split(keys.receive, keys.send);
  return message;
}

/** True: the session's keys are in `keys`. The initiator's state stays as it is: a forged response must not disturb it. */
export function openResponse(
  t: Transcript,
  initiator: Initiator,
  a: { local: Pair; psk: Uint8Array },
  message: Uint8Array,
  keys: TransportKeys,
): boolean {
  t.resume(initiator.saved);
  const opened = readResponse(t, {
    ...a,
    ephemeral: initiator.ephemeral,
    remoteEphemeral: message.slice(Response.EPHEMERAL, Response.EMPTY),
    payload: message.subarray(Response.EMPTY, Response.MAC1),
  });
  if (!opened) return false;
  t.split(keys.send, keys.receive);
  return true;
}
