// Captures as a library: read and write them, follow and open WireGuard sessions, say why one does not open. Pure: bytes and keys in, answers out.
// docs/library.md has the whole.

// What misuse throws.
export { TortieError } from "../base/errors.ts";

// Read.
export type * from "./packet.ts";
export { SECRETS_WIREGUARD } from "./packet.ts";
export { type CaptureFile, CaptureReader, readCapture, type ReaderOptions } from "./reader.ts";
export { type ByteStream, readStream } from "./stream.ts";

// Keys.
export {
  type BareKey,
  type EphemeralEntry,
  formatKeyLog,
  handshakeRecord,
  type HandshakeRecord,
  type KeyLog,
  keyLogOf,
  type KeyLogProblem,
  keyLogText,
  parseKeyLog,
  secretsOf,
} from "./keylog.ts";
export { type EphemeralKey, Secrets, type StaticKey } from "./secrets.ts";

// Open.
export { analyse, Analysis, type AnalysisOptions, type EachPacket, type Source, survey } from "./analysis.ts";
export type { BatchOpener } from "./opener.ts";
export type { Facts } from "./facts.ts";
export type { Failure, Opened, TrackedMessage, TrackedPacket } from "./tracker.ts";
export {
  clockSkew,
  type DirectionCounts,
  keepaliveInterval,
  missing,
  type Roaming,
  roundTrip,
  type Seen,
  type Session,
  spanOf,
  type UdpEndpoint,
  type Way,
} from "./session.ts";
export {
  type CookieMessage,
  type DataMessage,
  type HandshakeMessage,
  infoOf,
  type InitiationMessage,
  isKeepalive,
  MESSAGE_NAMES,
  parseMessage,
  type ResponseMessage,
  splitSegments,
  type WireGuardMessage,
} from "./message.ts";

// Show and filter.
export { linesOf, type PacketLines, type Summary } from "./summary.ts";
export { Dissection, Dissector, type DissectorOptions } from "./dissect.ts";
export type { Labels } from "./fields/scope.ts";
export { treeLines, type TreeNode } from "./tree.ts";
export { type DisplayFilter, displayFilter } from "./display/index.ts";
export { complete, type Completion, type Completions } from "./display/complete.ts";
export { type Conversation, type ConversationEnd, Conversations } from "./conversations.ts";

// Look around in: any packet, in any order.
export { CaptureDocument, type DocumentOptions } from "./document.ts";
export type { BytesPane, Look } from "./look.ts";
export type { Matches, Search } from "./matches.ts";
export { PacketIndex, type ReadBytes } from "./packetindex.ts";
export { windowed } from "./window.ts";
export { classOf, PACKET_CLASSES, type PacketClass } from "./packetclass.ts";
export { type Mark, type MarkKind, Marks } from "./marks.ts";

// Explain.
export { examine, introduce, type Diagnosis, type DiagnosisCode, type SessionReport } from "./doctor.ts";
export { type Attempt, type PeerEnd, type PeerPair, peerPairs } from "./peers.ts";
export { type Alarm, type AlarmCode, alarmsOf } from "./alarms.ts";

// Write.
export { type CaptureWriter, type NewInterface, type NewPacket, type NewStatistics, PcapngWriter, PcapWriter, type Sink } from "./writer.ts";
export { InnerWriter, Rewriter, type RewriteOptions } from "./rewrite.ts";
export type { OpenFile } from "./bylink.ts";
export { type Embedded, type EmbedOptions, keyLogFor } from "./embed.ts";

// Audit.
export {
  Audit,
  type AuditedFrame,
  type FlowFinding,
  type PairCounts,
  type AuditOptions,
  type Judgement,
  type Source as AuditSource,
} from "./audit/audit.ts";
export { Inventory, type InventoryDocument } from "./audit/inventory.ts";
export { type AuditReport, reportJson, reportOf } from "./audit/report.ts";
export { EXIT_CODES, type Cause, type PacketClass as AuditClass, type Precondition, type Verdict } from "./audit/types.ts";
