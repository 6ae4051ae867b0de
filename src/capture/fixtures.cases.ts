// The captures of test/captures, for tests.
import { readdirSync, readFileSync } from "node:fs";
import { nodeCrypto } from "../crypto/node.ts";
import type { ByLink } from "./bylink.ts";
import { keyLogOf, parseKeyLog } from "./keylog.ts";
import { type CaptureFile, readCapture, type ReaderOptions } from "./reader.ts";
import { InnerWriter, Rewriter } from "./rewrite.ts";
import { Secrets } from "./secrets.ts";
import { type TrackedPacket, Tracker } from "./tracker.ts";
import type { Sink } from "./writer.ts";

const directory = new URL("../../test/captures/", import.meta.url);
export const bytesOf = (name: string): Uint8Array => new Uint8Array(readFileSync(new URL(name, directory)));
export const textOf = (name: string): string => readFileSync(new URL(name, directory), "utf8");
export const open = (name: string, options?: ReaderOptions): CaptureFile => readCapture(bytesOf(name), options);
export const list = (folder: string): string[] => readdirSync(new URL(folder, directory)).sort();
export const captures = (): string[] =>
  readdirSync(directory, { recursive: true, encoding: "utf8" })
    .filter((f) => /\.pcap(ng)?$/.test(f))
    .sort();

/** A capture followed with these key log texts and the file's own keys. */
export function follow(file: CaptureFile, ...logs: string[]): { tracker: Tracker; secrets: Secrets; packets: TrackedPacket[] } {
  const secrets = new Secrets(nodeCrypto);
  const own = keyLogOf(file.secrets);
  if (own) secrets.add(own);
  secrets.add(parseKeyLog(logs.join("")));
  const tracker = new Tracker(nodeCrypto, secrets);
  tracker.learn(file.packets.map((p) => tracker.handshakeIn(p)).filter((m) => m !== undefined));
  const packets = file.packets.map((p) => tracker.add(p));
  return { tracker, secrets, packets };
}

/** The value of a line of a key log, by its type. */
export const keyIn = (text: string, type: string): string => new RegExp(`${type}\\s*=\\s*(\\S+)`).exec(text)![1]!;

/** A whole file written again, and only its inner packets, of which the number is the result. */
export function rewrite(file: CaptureFile, keyLog: string, sink: Sink): void {
  const facts = { ...file, packets: file.packets.length, first: undefined, last: undefined };
  const writer = new Rewriter(facts, () => sink, { keyLog, together: true });
  for (const p of file.packets) writer.packet(p);
  writer.end();
}
export function writeInner(packets: readonly TrackedPacket[], sink: Sink): number {
  const writer = new InnerWriter(sink);
  for (const t of packets) writer.packet(t);
  return writer.written;
}

/** Writes all of a capture again. */
export function copy(file: CaptureFile, writer: ByLink): void {
  for (const s of file.secrets) writer.secrets(s);
  const numbers = new Map(file.interfaces.map((i) => [i, writer.addInterface(i)]));
  if (file.names.length > 0) writer.names(file.names);
  for (const p of file.packets) writer.packet(numbers.get(p.iface)!, p);
  for (const s of file.statistics) writer.statistics(numbers.get(s.iface)!, s.time ?? 0n, s);
}
