// The decrypt doctor: for each session the first reason why it does not open, what did open all the same, and what would be needed (section 1.5).
// Sentences for a person; codes for programs.
import { toBase64 } from "../base/bytes.ts";
import { formatEndpoint } from "../base/ip.ts";
import { Initiation, Response } from "../wireguard/messages.ts";
import type { KeyName } from "./keylog.ts";
import { formatDate } from "./moment.ts";
import type { Secrets } from "./secrets.ts";
import type { Session, UdpEndpoint } from "./session.ts";
import { timestampOf } from "./replay.ts";

/** D1 no initiation, D2 no response, D3 handshake cut, D4 responder unknown, D5 no ephemeral key, D6 of the other side, D7 pre-shared key, D8 key log, D9 tags, D10 fragments. */
export type DiagnosisCode = "D1" | "D2" | "D3" | "D4" | "D5" | "D6" | "D7" | "D8" | "D9" | "D10";
/** The first reason why a session does not open. */
export type Diagnosis = {
  readonly code: DiagnosisCode;
  /** Why, in one or two sentences. */
  readonly why: string;
  /** What would open it. */
  readonly needs: string;
};
/** What the doctor says of a session. */
export type SessionReport = {
  readonly session: Session;
  /** What the keys at hand did open, sentence by sentence. */
  readonly opened: readonly string[];
  /** undefined when every data message opened, or there was none and the handshake authenticates. */
  readonly diagnosis: Diagnosis | undefined;
  /** What else a person should know: a public ephemeral given as a private key. */
  readonly warnings: readonly string[];
};

const NEEDS_LOG =
  "A key log of either side that was taken while the handshake happened: `tortie capture -i IF --keys -w FILE` makes one and forces a fresh handshake.";
const FORWARD_SECRECY =
  "Both sides make a fresh ephemeral key for every handshake and forget its private half as soon as the session stands (forward secrecy); " +
  "a static private key, even of both sides, opens no data.";

const key = (k: Uint8Array | undefined, secrets: Secrets): string => {
  if (!k) return "unknown";
  const name = secrets.static(k)?.name;
  return name ? `${name} (${toBase64(k)})` : toBase64(k);
};
const at = (e: UdpEndpoint | undefined): string => (e ? formatEndpoint(e.ip, e.port) : "an unknown address");

/** Everything there is to say about one session. */
export function examine(session: Session, secrets: Secrets): SessionReport {
  const found = diagnose(session, secrets);
  const diagnosis = found && (malformed(found, secrets) ?? found);
  return { session, opened: whatOpened(session, secrets), diagnosis, warnings: publicGiven(session, secrets) };
}

/** A key that is missing, and a line that should have held one of its kind: that line is the reason (D8). */
function malformed(d: Diagnosis, secrets: Secrets): Diagnosis | undefined {
  const kinds: Partial<Record<DiagnosisCode, readonly KeyName[]>> = {
    D4: ["REMOTE_STATIC_PUBLIC_KEY", "LOCAL_STATIC_PRIVATE_KEY"],
    D5: ["LOCAL_EPHEMERAL_PRIVATE_KEY"],
    D6: ["LOCAL_STATIC_PRIVATE_KEY", "LOCAL_EPHEMERAL_PRIVATE_KEY"],
    D7: ["PRESHARED_KEY"],
  };
  const line = secrets.refused(...(kinds[d.code] ?? []));
  return (
    line && {
      code: "D8",
      why: `line ${line.line} of the key log, a ${line.name}, cannot be used: ${line.why}. Without it, ${d.why}`,
      needs: `That line as it was written. Or: ${d.needs}`,
    }
  );
}

function whatOpened(s: Session, secrets: Secrets): string[] {
  const said: string[] = [];
  const first = s.initiation;
  if (first && s.responderStatic)
    said.push(`the initiation (packet ${first.frame}) is addressed to ${key(s.responderStatic, secrets)} (its mac1 verifies)`);
  if (first && s.begun?.initiatorStatic) said.push(`who spoke: the initiator is ${key(s.begun.initiatorStatic, secrets)} at ${at(first.src)}`);
  else if (s.response && s.initiatorStatic)
    said.push(`the response (packet ${s.response.frame}) is addressed to ${key(s.initiatorStatic, secrets)} (its mac1 verifies)`);
  if (first && s.begun?.timestamp) {
    const sent = timestampOf(s.begun.timestamp);
    said.push(`when, by the initiator's own clock: ${formatDate(sent)}${first.time === undefined ? "" : ` (${skewOf(first.time - sent)})`}`);
  }
  if (s.answered?.kind === "open") said.push(`the handshake authenticates (packet ${s.response!.frame})`);
  if (s.cookie) said.push(`the cookie of packet ${s.cookieReply}`);
  const { toResponder: a, toInitiator: b } = s.counts;
  const data = a.transport + b.transport;
  const open = a.decrypted + b.decrypted;
  const unsure = a.unauthenticated + b.unauthenticated;
  if (open > 0) said.push(`${open} of ${data} data packets`);
  if (unsure > 0)
    said.push(`the beginning of ${unsure} of ${data} data packets that were cut when captured (unauthenticated: their tags are missing)`);
  return said;
}

/** Capture time less timestamp, in words. */
function skewOf(ns: bigint): string {
  const ms = Number(ns / 1_000_000n);
  return ms < 0
    ? `${-ms} ms after it was captured: that clock is ahead of the capture's`
    : `${ms} ms before it was captured, the clock's coarseness of 17 ms included`;
}

function publicGiven(s: Session, secrets: Secrets): string[] {
  const said: string[] = [];
  const check = (side: "initiator" | "responder", seen: { frame: number; message: { ephemeral: Uint8Array } } | undefined): void => {
    if (!seen || !secrets.wasGiven(seen.message.ephemeral)) return;
    const other = side === "initiator" ? "initiator's static private key" : "responder's static private key";
    said.push(
      `The key ${toBase64(seen.message.ephemeral)} that was given as a private key is the public half of the ${side}'s ephemeral key: packet ${seen.frame} shows it to everybody ` +
        `(Wireshark calls it wg.ephemeral). It opens nothing, and its private half cannot be computed from it and was never sent. ` +
        `Needed is the ${side}'s ephemeral private key of this handshake, from the key log of that side, together with the ${other}.`,
    );
  };
  check("initiator", s.initiation);
  check("responder", s.response);
  for (const [side, known] of [
    ["initiator", s.initiatorStatic],
    ["responder", s.responderStatic],
  ] as const)
    if (known && secrets.wasGiven(known))
      said.push(
        `The key ${toBase64(known)} that was given as a private key is the ${side}'s static public key. Its private half is what \`wg show IF private-key\` prints on that node.`,
      );
  return said;
}

/** The first reason that fails, in the order of section 1.5. */
function diagnose(s: Session, secrets: Secrets): Diagnosis | undefined {
  return ofKeys(s, secrets) ?? ofFragments(s);
}
function ofFragments(s: Session): Diagnosis | undefined {
  if (s.incomplete === 0) return undefined;
  return {
    code: "D10",
    why: `${s.incomplete} of its messages came in IP fragments that are not all in the capture`,
    needs: "A capture filter that lets fragments pass: `udp port N` drops all but the first, `host ADDRESS` does not.",
  };
}
function ofKeys(s: Session, secrets: Secrets): Diagnosis | undefined {
  const counts = [s.counts.toResponder, s.counts.toInitiator];
  const data = counts.reduce((n, c) => n + c.transport, 0);
  const open = counts.reduce((n, c) => n + c.decrypted + c.unauthenticated, 0);
  const failed = counts.reduce((n, c) => n + c.failed, 0);
  if (data > 0 && open >= data) return undefined;
  if (s.answered?.kind === "open" || (open > 0 && failed > 0)) {
    if (failed === 0) return undefined;
    return {
      code: "D9",
      why: `the session's keys are known${open > 0 ? " and open its other packets" : ""}, but the tags of ${failed} of ${data} do not verify: damaged, merged by the network card, or of another session with the same index`,
      needs: "An undamaged capture of these packets.",
    };
  }
  if (!s.initiation) {
    const what = s.response
      ? `its initiation is not in the capture (only the response, packet ${s.response.frame})`
      : "the capture began after its handshake";
    return {
      code: "D1",
      why: `${what}, and the keys of its data follow from both handshake messages`,
      needs: `The session's own keys, line by line as \`0xINDEX KEY\` with the receiver index of its packets (${indexes(s)}); or a capture that holds a handshake. ${NEEDS_LOG}`,
    };
  }
  if (!s.response) {
    const cookie = s.cookieReply === undefined ? "" : ` (packet ${s.cookieReply} answered it with a cookie: that side was under load)`;
    return {
      code: "D2",
      why: `the initiation (packet ${s.initiation.frame}) has no response in the capture${cookie}`,
      needs: data > 0 ? "A capture that holds both handshake messages." : "Nothing: without a response there is no session and no data to open.",
    };
  }
  const { message: one, frame: frameOne } = s.initiation;
  const { message: two, frame: frameTwo } = s.response;
  if (one.bytes.length < Initiation.MAC1 || two.bytes.length < Response.MAC1) {
    const short = one.bytes.length < Initiation.MAC1 ? frameOne : frameTwo;
    return {
      code: "D3",
      why: `packet ${short} of the handshake was cut when captured: ${Initiation.MAC1} bytes of the initiation and ${Response.MAC1} of the response are needed`,
      needs: `A capture with a larger snap length; \`tortie capture\` keeps packets whole.`,
    };
  }
  const oneEphemeral = secrets.ephemeral(one.ephemeral) !== undefined;
  const twoEphemeral = secrets.ephemeral(two.ephemeral) !== undefined;
  const ephemerals = oneEphemeral || twoEphemeral;
  if (!s.responderStatic) {
    const statics = realStatics(s, secrets);
    const initiatorOnly = s.initiatorStatic && secrets.static(s.initiatorStatic)?.privateKey;
    const own = initiatorOnly
      ? ` The static private key of the initiator, ${key(s.initiatorStatic, secrets)}, opens nothing of a handshake that it sent itself.`
      : "";
    const unknown =
      statics === 0
        ? "no static key is at hand, neither private nor public"
        : `the responder's static public key is not known: the mac1 of packet ${frameOne} fits ${statics === 1 ? "not the one static key" : `none of the ${statics} static keys`} at hand`;
    return {
      code: "D4",
      why: ephemerals ? unknown : `${unknown}.${own} ${FORWARD_SECRECY}`,
      needs: ephemerals
        ? staticsFor(s, oneEphemeral, twoEphemeral, initiatorOnly !== undefined)
        : `An ephemeral private key of this handshake, and with it the keys of these two nodes. ${NEEDS_LOG}`,
    };
  }
  if (!ephemerals) {
    const who = s.begun?.initiatorStatic
      ? ""
      : ` The static private key of the initiator opens nothing of a handshake that it sent, that of the responder would tell who spoke and when.`;
    const more =
      secrets.ephemeralCount > 0
        ? ` ${secrets.ephemeralCount === 1 ? "The one ephemeral key at hand does not belong" : `None of the ${secrets.ephemeralCount} ephemeral keys at hand belongs`} to this handshake.`
        : "";
    return { code: "D5", why: `no ephemeral private key of this handshake is at hand.${more} ${FORWARD_SECRECY}${who}`, needs: NEEDS_LOG };
  }
  const hasInitiator = s.initiatorStatic !== undefined && secrets.static(s.initiatorStatic)?.privateKey !== undefined;
  const hasResponder = secrets.static(s.responderStatic)?.privateKey !== undefined;
  const fits = (oneEphemeral && hasInitiator) || (twoEphemeral && hasResponder);
  if (s.answered?.kind === "psk" || (fits && s.begun?.state)) {
    return {
      code: "D7",
      why: `packet ${frameTwo} does not authenticate although all four Diffie-Hellman values are known: the pre-shared key is missing, wrong, or its line does not come right after this handshake's LOCAL_EPHEMERAL_PRIVATE_KEY line`,
      needs: "The peers' pre-shared key, in a line PRESHARED_KEY = … directly after the ephemeral's line.",
    };
  }
  const side = oneEphemeral ? "initiator" : "responder";
  const has = [hasInitiator ? "the initiator's static private key" : "", hasResponder ? "the responder's static private key" : ""].filter(Boolean);
  const sides = oneEphemeral && twoEphemeral ? "of both sides" : `of the ${side}`;
  return {
    code: "D6",
    why: `the ephemeral private key at hand is ${sides}, but with it goes ${has.length > 0 ? `only ${has.join(" and ")}` : "no static private key"}: ephemeral and static private key must be of the same side`,
    needs: `The static private key of the ${side}${s.initiatorStatic && side === "initiator" ? `, ${key(s.initiatorStatic, secrets)}` : side === "responder" ? `, ${key(s.responderStatic, secrets)}` : ""}.`,
  };
}

/** What goes with an ephemeral key while the responder is unknown: with its own side's private key it opens, the initiator's needs the responder's public key too. */
function staticsFor(s: Session, one: boolean, two: boolean, hasInitiator: boolean): string {
  const ofInitiator =
    `The line REMOTE_STATIC_PUBLIC_KEY = … with the public key of ${at(s.responder)}` +
    (hasInitiator ? "" : `, and LOCAL_STATIC_PRIVATE_KEY = … with the private key of ${at(s.initiator)}`);
  const ofResponder = `The line LOCAL_STATIC_PRIVATE_KEY = … with the private key of ${at(s.responder)}`;
  if (!two) return `${ofInitiator}.`;
  return one ? `${ofInitiator}. Or: ${ofResponder}.` : `${ofResponder}: the ephemeral key at hand is of that side.`;
}

/** Static keys at hand, without what is only the public half of an ephemeral that was given as a key. */
const realStatics = (s: Session, secrets: Secrets): number => {
  const shown = new Set([s.initiation, s.response].map((m) => (m ? toBase64(m.message.ephemeral) : "")));
  return secrets.statics().filter((k) => !(k.privateKey && shown.has(toBase64(k.privateKey)))).length;
};

const indexes = (s: Session): string =>
  [s.responderIndex, s.initiatorIndex]
    .filter((i) => i !== undefined)
    .map((i) => `0x${i.toString(16).padStart(8, "0")}`)
    .join(" and ");

/** What the keys at hand are, as a person gave them: which node's, and what each kind can open at all. */
export function introduce(secrets: Secrets, sessions: readonly Session[]): string[] {
  const said: string[] = [];
  const roles = (k: Uint8Array): string => {
    const is = (x: Uint8Array | undefined): boolean => x !== undefined && toBase64(x) === toBase64(k);
    const initiated = sessions.filter((s) => is(s.initiatorStatic)).length;
    const answered = sessions.filter((s) => is(s.responderStatic)).length;
    const of = sessions.length === 1 ? "the one session" : `of the ${sessions.length} sessions`;
    const times = (n: number, what: string): string => (sessions.length === 1 ? `${what} ${of}` : `${what} ${n} ${of}`);
    if (initiated + answered === 0) return "no handshake of this capture is known to be its";
    return [initiated > 0 ? times(initiated, "it initiated") : "", answered > 0 ? times(answered, "it answered") : ""].filter(Boolean).join(", ");
  };
  const onWire = new Set(sessions.flatMap((s) => [s.initiation, s.response]).map((m) => (m ? toBase64(m.message.ephemeral) : "")));
  for (const k of secrets.statics()) {
    if (!k.privateKey || onWire.has(toBase64(k.publicKey)) || onWire.has(toBase64(k.privateKey))) continue;
    said.push(`Static private key of ${key(k.publicKey, secrets)}: ${roles(k.publicKey)}.`);
  }
  for (const k of secrets.statics()) if (!k.privateKey && !k.name) said.push(`Static public key ${toBase64(k.publicKey)}: ${roles(k.publicKey)}.`);
  const used = sessions
    .flatMap((s) => [s.initiation?.message.ephemeral, s.response?.message.ephemeral])
    .filter((e) => e && secrets.ephemeral(e)).length;
  if (secrets.ephemeralCount > 0 || used > 0)
    said.push(`Ephemeral private keys: ${Math.max(secrets.ephemeralCount, used)}, of which ${used} belong to handshakes of this capture.`);
  if (secrets.hasSessionKeys) said.push("Session keys by receiver index: they open the packets with that index, also without a handshake.");
  return said;
}
