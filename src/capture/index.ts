// Captures as a library: read and write them, follow and open WireGuard sessions, say why one does not open. Pure: bytes and keys in, answers out.
export { type Alarm, type AlarmCode, alarmsOf } from "./alarms.ts";
export { analyse, Analysis, type AnalysisOptions, type EachPacket, type Source, survey } from "./analysis.ts";
export { type DisplayFilter, displayFilter } from "./display/index.ts";
export { Dissection, Dissector, type DissectorOptions } from "./dissect.ts";
export { examine, introduce, type Diagnosis, type DiagnosisCode, type SessionReport } from "./doctor.ts";
export {
  formatKeyLog,
  handshakeRecord,
  type HandshakeRecord,
  type KeyLog,
  keyLogOf,
  type KeyLogProblem,
  KeyLogReader,
  mergeKeyLogs,
  parseKeyLog,
  secretsOf,
} from "./keylog.ts";
export { infoOf, isKeepalive, MESSAGE_NAMES, parseMessage, splitSegments, type WireGuardMessage } from "./message.ts";
export { type BatchOpener, oneByOne } from "./opener.ts";
export type * from "./packet.ts";
export { type Attempt, type PeerEnd, type PeerPair, peerPairs } from "./peers.ts";
export { SECRETS_WIREGUARD } from "./packet.ts";
export { type CaptureFile, CaptureReader, collect, readCapture, type ReaderOptions } from "./reader.ts";
export { InnerWriter, Rewriter, type RewriteOptions } from "./rewrite.ts";
export { Secrets } from "./secrets.ts";
export { type ByteStream, readStream } from "./stream.ts";
export type { DirectionCounts, Session, UdpEndpoint, Way } from "./session.ts";
export { linesOf, type Summary } from "./summary.ts";
export { type Opened, type TrackedMessage, type TrackedPacket, Tracker, type TrackerOptions } from "./tracker.ts";
export { treeLines, type TreeNode } from "./tree.ts";
export { type CaptureWriter, type NewInterface, type NewPacket, PcapngWriter, PcapWriter, type Sink } from "./writer.ts";
export { Audit, type AuditedFrame, type FlowFinding, type PairCounts, type Source as AuditSource } from "./audit/audit.ts";
export { Inventory, type InventoryDocument } from "./audit/inventory.ts";
export { type AuditReport, reportJson, reportOf } from "./audit/report.ts";
export { EXIT_CODES, type Precondition, type Verdict } from "./audit/types.ts";
