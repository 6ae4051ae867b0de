// Tree node of a WireGuard message with Wireshark's field names; wg.cookie, wg.mac2_ok and wg.session.* are ours (section 2.6).
import { toBase64, toHex } from "../base/bytes.ts";
import { Cookie, DATA_OVERHEAD } from "../wireguard/messages.ts";
import { infoOf, type InitiationMessage, isKeepalive, mac1Of, mac2Of, MESSAGE_NAMES, type ResponseMessage } from "./message.ts";
import { formatTime } from "./moment.ts";
import { timestampOf } from "./replay.ts";
import type { Secrets } from "./secrets.ts";
import { field, node, type TreeNode } from "./tree.ts";
import type { TrackedMessage } from "./tracker.ts";

const index = (n: number): string => `0x${n.toString(16).padStart(8, "0")}`;
const flag = (name: string, label: string, value: boolean): TreeNode => field(name, label, value, value ? "True" : "False");

export function messageNode(t: TrackedMessage, secrets: Secrets): TreeNode {
  const m = t.message;
  const s = t.session;
  const children: TreeNode[] = [
    field("wg.type", "Type", m.type, `${MESSAGE_NAMES[m.type]} (${m.type})`),
    field("wg.reserved", "Reserved", toHex(m.bytes.subarray(1, 4))),
  ];
  if (m.type === 1 || m.type === 2) children.push(field("wg.sender", "Sender", index(m.sender)));
  if (m.type !== 1) children.push(field("wg.receiver", "Receiver", index(m.receiver)));
  if (m.type === 1 || m.type === 2) children.push(...handshakeFields(t, m, secrets));
  if (m.type === 3 && m.bytes.length >= Cookie.LENGTH) {
    children.push(field("wg.nonce", "Nonce", toHex(m.bytes.subarray(Cookie.NONCE, Cookie.SEALED))));
    children.push(field("wg.encrypted_cookie", "Encrypted cookie", toHex(m.bytes.subarray(Cookie.SEALED, Cookie.LENGTH))));
    if (s?.cookie) children.push(field("wg.cookie", "Cookie", toHex(s.cookie)));
  }
  if (m.type === 4) {
    children.push(field("wg.counter", "Counter", m.counter));
    if (isKeepalive(m)) children.push(field("wg.keepalive", "This is a keepalive message", "1", "True"));
    else children.push(field("wg.encrypted_packet", "Encrypted packet", "", `${m.length - DATA_OVERHEAD} bytes`));
    if (t.failure === "bad tag") children.push(field("wg.decryption_error", "Decryption failed", "1", "the tag does not verify"));
  }
  // A session without its initiation has no number with Wireshark.
  if (s) children.push(field(s.initiation ? "wg.stream" : "wg.session.number", "Session", s.number));
  if (m.type === 1 && s?.response) children.push(field("wg.response_in", "Response in frame", s.response.frame));
  if (m.type === 2 && s?.initiation) children.push(field("wg.response_to", "Response to frame", s.initiation.frame));
  return node(`WireGuard Protocol, ${infoOf(m)}`, children);
}

function handshakeFields(t: TrackedMessage, m: InitiationMessage | ResponseMessage, secrets: Secrets): TreeNode[] {
  const s = t.session;
  const out: TreeNode[] = [
    field("wg.ephemeral", "Ephemeral", toBase64(m.ephemeral), undefined, [
      flag("wg.ephemeral.known_privkey", "Has private key", secrets.ephemeral(m.ephemeral) !== undefined),
    ]),
  ];
  if (m.type === 1) {
    out.push(field("wg.encrypted_static", "Encrypted static", "", "48 bytes"));
    const opened = s?.begun?.initiatorStatic;
    if (opened) {
      const known = secrets.static(opened);
      out.push(
        field("wg.static", "Static public key", toBase64(opened), `${toBase64(opened)}${known?.name ? ` (${known.name})` : ""}`, [
          flag("wg.static.known_pubkey", "Known public key", known !== undefined),
          flag("wg.static.known_privkey", "Has private key", known?.privateKey !== undefined),
        ]),
      );
    }
    out.push(field("wg.encrypted_timestamp", "Encrypted timestamp", "", "28 bytes"));
    if (s?.begun?.timestamp) out.push(timestampNode(s.begun.timestamp));
  } else {
    out.push(field("wg.encrypted_empty", "Encrypted empty", "", "16 bytes"));
    if (s?.begun?.initiatorStatic) out.push(flag("wg.handshake_ok", "Handshake decryption successful", s.answered?.kind === "open"));
  }
  const mac1 = mac1Of(m);
  if (mac1) out.push(field("wg.mac1", "mac1", toHex(mac1)));
  const addressee = t.addressee && secrets.static(t.addressee);
  if (addressee) {
    const shown = `${toBase64(addressee.publicKey)}${addressee.name ? ` (${addressee.name})` : ""}`;
    out.push(
      field("wg.receiver_pubkey", "Receiver static public key", toBase64(addressee.publicKey), shown, [
        flag("wg.receiver_pubkey.known_privkey", "Has private key", addressee.privateKey !== undefined),
      ]),
    );
  }
  const mac2 = mac2Of(m);
  if (mac2) out.push(field("wg.mac2", "mac2", toHex(mac2)));
  if (t.mac2Ok) out.push(flag("wg.mac2_ok", "mac2 verifies under the cookie", true));
  return out;
}

/** Wireshark's value of the label is the raw number; the time a person reads is right here (Wireshark shows 10 s too much). */
function timestampNode(tai64n: Uint8Array): TreeNode {
  const v = new DataView(tai64n.buffer, tai64n.byteOffset, 12);
  const ns = timestampOf(tai64n);
  return field("wg.timestamp.value", "Timestamp", formatTime(ns), `${formatTime(ns)} (the initiator's Unix clock)`, [
    field("wg.timestamp.tai64_label", "TAI64 label", v.getBigUint64(0)),
    field("wg.timestamp.nanoseconds", "Nanoseconds", v.getUint32(8)),
  ]);
}
