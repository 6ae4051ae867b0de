// Which keys go into a file: of each session that opened, exactly the four lines that open it again, in the order Wireshark needs (sections 2.2, 3.6); or its
// session keys alone, which open it for tortie and let nobody pose as a node.
import { toBase64 } from "../base/bytes.ts";
import { handshakeRecord } from "./keylog.ts";
import type { Secrets } from "./secrets.ts";
import type { Session } from "./session.ts";

/** The record of a session, or undefined when the secrets at hand do not open it by its handshake. */
export function recordOf(s: Session, secrets: Secrets): string | undefined {
  if (s.answered?.kind !== "open" || !s.initiation || !s.response || !s.initiatorStatic || !s.responderStatic) return undefined;
  const sides = [
    { own: s.initiatorStatic, other: s.responderStatic, ephemeral: s.initiation.message.ephemeral },
    { own: s.responderStatic, other: s.initiatorStatic, ephemeral: s.response.message.ephemeral },
  ];
  for (const side of sides) {
    const localStaticPrivate = secrets.static(side.own)?.privateKey;
    const ephemeral = secrets.ephemeral(side.ephemeral);
    if (!localStaticPrivate || !ephemeral) continue;
    return handshakeRecord({
      localStaticPrivate,
      remoteStaticPublic: side.other,
      localEphemeralPrivate: ephemeral.privateKey,
      presharedKey: s.answered.presharedKey,
    });
  }
  return undefined;
}

/** The session keys by receiver index: Wireshark leaves these lines out. "" when there are none. */
function sessionKeysOf(s: Session): string {
  const pairs = [
    [s.responderIndex, s.keys.toResponder],
    [s.initiatorIndex, s.keys.toInitiator],
  ] as const;
  const line = (index: number | undefined, key: Uint8Array | undefined): string =>
    index === undefined || !key ? "" : `WGX_SESSION_KEY = 0x${index.toString(16).padStart(8, "0")} ${toBase64(key)}\n`;
  return pairs.map(([index, key]) => line(index, key)).join("");
}

/** A key log, and whom it serves. */
export type Embedded = {
  readonly text: string;
  /** Sessions that Wireshark opens with it, and those that only tortie does. */
  readonly forWireshark: number;
  readonly onlyOurs: number;
};

/** What goes into it. */
export type EmbedOptions = {
  /** No node's keys at all. @default false */
  readonly sessionKeysOnly?: boolean;
};

/** Key log text for sessions that opened: records, and session keys where no handshake opens them. */
export function keyLogFor(sessions: readonly Session[], secrets: Secrets, { sessionKeysOnly = false }: EmbedOptions = {}): Embedded {
  const records = new Set<string>();
  const own: string[] = [];
  for (const s of sessions) {
    const record = sessionKeysOnly ? undefined : recordOf(s, secrets);
    const lines = record === undefined ? sessionKeysOf(s) : "";
    if (record !== undefined) records.add(record);
    else if (lines !== "") own.push(lines);
  }
  return { text: [...records, ...own].join(""), forWireshark: records.size, onlyOurs: own.length };
}
