// What the viewer shows, as its model sees it: a capture whose packets are had by number, and the filter that is at work. viewed.ts is the real one.
import type { Conversations } from "../../capture/conversations.ts";
import type { FollowedStream } from "../../capture/follow.ts";
import type { Facts } from "../../capture/facts.ts";
import type { KeyLogProblem } from "../../capture/keylog.ts";
import type { PacketClass } from "../../capture/packetclass.ts";
import type { Secrets } from "../../capture/secrets.ts";
import type { Session } from "../../capture/session.ts";
import type { Audited } from "./audited.ts";
import type { Look } from "../../capture/look.ts";
import type { Search } from "../../capture/matches.ts";
import type { Marks } from "../../capture/marks.ts";

export type Progress = { readonly what: string; readonly done: number; readonly total: number | undefined };
export type Rates = { readonly packets: number; readonly bytes: number };

export interface World {
  /** File or interfaces. */
  readonly name: string;
  /** Packets so far; numbers here start at 0. */
  readonly length: number;
  look(packet: number): Look;
  classOf(packet: number): PacketClass;
  time(packet: number): bigint | undefined;
  readonly facts: Facts;
  readonly sessions: readonly Session[];
  readonly secrets: Secrets;
  readonly problems: readonly KeyLogProblem[];
  readonly marks: Marks;
  /** Opening is under way. */
  readonly progress: Progress | undefined;
  /** Of what is still coming; undefined for a file that is read. */
  readonly rates: Rates | undefined;
  /** Packets that the capture lost; undefined where nobody counts. */
  readonly dropped: number | undefined;
  readonly filter: Search | undefined;
  /** Collected from when they are asked for first. */
  readonly conversations: Conversations;
  /** What is followed. */
  readonly stream: FollowedStream | undefined;
  /** Begun when it is asked for first; undefined where there is no inventory to audit by. */
  readonly audit: Audited | undefined;
  /** Conversations, audit or the stream are not through the capture yet. */
  readonly walking: boolean;
}
