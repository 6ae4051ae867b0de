// Captured packets as the packets of a file: super-datagrams cut into the messages that they are (5.4), data messages cut to their own snap length (1.7).
import { compileFilter, runProgram } from "../../capture/filter/index.ts";
import { segmentComment, splitFrame } from "../../capture/split.ts";
import type { NewPacket } from "../../capture/writer.ts";
import type { LivePacket } from "../../sys/packetsocket.ts";

/** A packet, with a remark when it is one of several that were captured as one. */
export type Message = { readonly packet: LivePacket; readonly comment?: string };

/** As it goes into a file; `comments` come before its own. */
export const writable = ({ packet: p, comment }: Message, comments: readonly string[] = []): NewPacket => ({
  time: p.timeNs,
  data: p.data,
  originalLength: p.originalLength,
  checksumNotReady: p.checksumNotReady,
  ...(p.direction === "other" ? {} : { direction: p.direction }),
  ...(p.dropped > 0 ? { dropped: BigInt(p.dropped) } : {}),
  comments: comment === undefined ? comments : [...comments, comment],
});

/** `dataSnapLength`: bytes kept of a packet with WireGuard data. */
export function splitter(link: number, snapLength: number, dataSnapLength: number | undefined): (p: LivePacket) => readonly Message[] {
  const program = dataSnapLength === undefined ? undefined : compileFilter("", link, { snapLength, dataSnapLength });
  const cut = (p: LivePacket): LivePacket => (program ? { ...p, data: p.data.subarray(0, runProgram(program, p.data, p.originalLength)) } : p);
  return (p) => {
    const parts = p.segment === 0 || p.data.length < p.originalLength ? undefined : splitFrame(p.data, link, p.segment);
    if (!parts) return [{ packet: cut(p) }];
    return parts.map((part, i) => ({
      packet: cut({ ...p, data: part, originalLength: part.length, checksumNotReady: false, dropped: i === 0 ? p.dropped : 0 }),
      comment: segmentComment(i, parts.length),
    }));
  };
}
