// Display filters for what is chosen: what `y` copies and what Enter on a session sets.
import { formatIp } from "../../base/ip.ts";
import type { Conversation } from "../../capture/conversations.ts";
import { FLOW_FIELDS } from "../../capture/flows.ts";
import type { Session } from "../../capture/session.ts";
import type { TreeNode } from "../../capture/tree.ts";
import type { Look } from "../../capture/look.ts";

/** Numbers, addresses, bytes: values that need no quotes. */
const BARE = /^[0-9a-fA-FxX.:/-]+$/;

/** The packets that are like this one: of its session, or between its two addresses. */
export function filterOfPacket(look: Look): string {
  const session = look.tracked.messages.find((m) => m.session)?.session;
  if (session) return filterOfSession(session);
  const ip = look.tracked.layers.findLast((l) => l.kind === "ipv4" || l.kind === "ipv6");
  if (!ip || (ip.kind !== "ipv4" && ip.kind !== "ipv6")) return `frame.number == ${look.tracked.packet.number}`;
  const name = ip.kind === "ipv4" ? "ip.addr" : "ipv6.addr";
  return `${name} == ${formatIp(ip.src)} && ${name} == ${formatIp(ip.dst)}`;
}
/** Wireshark numbers only sessions whose initiation is there. */
export const filterOfSession = (s: Session): string => `${s.initiation ? "wg.stream" : "wg.session.number"} == ${s.number}`;

/** The packets between two ends, on the wire and inside alike. */
export function filterOfConversation({ protocol, ends }: Conversation): string {
  const name = ends[0].ip.length === 4 ? "ip.addr" : "ipv6.addr";
  return ends.flatMap((e) => [`${name} == ${formatIp(e.ip)}`, ...(protocol === "ip" ? [] : [`${protocol}.port == ${e.port}`])]).join(" && ");
}

/** The packets whose field has this node's value; undefined for a line that is no field. */
export function filterOfNode(n: TreeNode): string | undefined {
  // Sequence numbers of a packet by itself are not those that a filter counts from the beginning of the stream.
  if (n.field === undefined || FLOW_FIELDS.has(n.field)) return undefined;
  if (n.value === undefined || n.value === "") return n.field;
  const bare = BARE.test(n.value);
  return `${n.field} == ${bare ? n.value : `"${n.value.replaceAll(/["\\]/g, "\\$&")}"`}`;
}
