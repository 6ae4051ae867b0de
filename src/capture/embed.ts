// Which keys go into a file: of each session that opened, exactly the four lines that open it again, in the order Wireshark needs (sections 2.2, 3.6).
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

/** Key log text for all sessions that opened; session keys by index where no handshake opens them (Wireshark leaves those lines out). */
export function keyLogFor(
  sessions: readonly Session[],
  secrets: Secrets,
): { readonly text: string; readonly forWireshark: number; readonly onlyOurs: number } {
  const records = new Set<string>();
  const own: string[] = [];
  let onlyOurs = 0;
  for (const s of sessions) {
    const record = recordOf(s, secrets);
    if (record !== undefined) {
      records.add(record);
      continue;
    }
    const pairs = [
      [s.responderIndex, s.keys.toResponder],
      [s.initiatorIndex, s.keys.toInitiator],
    ] as const;
    let found = false;
    for (const [index, key] of pairs) {
      if (index === undefined || !key) continue;
      own.push(`WGX_SESSION_KEY = 0x${index.toString(16).padStart(8, "0")} ${toBase64(key)}\n`);
      found = true;
    }
    if (found) onlyOurs++;
  }
  return { text: [...records, ...own].join(""), forWireshark: records.size, onlyOurs };
}
