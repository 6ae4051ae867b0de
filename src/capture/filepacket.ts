// A packet of a file. All have the same shape, whatever is known of them: there are millions, and code that reads them is as fast as it can be.
import type { CapturedPacket, CaptureInterface, Direction, PacketDetails } from "./packet.ts";

/** The time that two words of a record or block stand for, in nanoseconds since 1970; undefined when none can be told. */
export type Clock = (high: number, low: number) => bigint | undefined;

const NONE: readonly string[] = [];

export class FilePacket implements CapturedPacket {
  declare readonly number: number;
  declare readonly iface: CaptureInterface;
  declare readonly time: bigint | undefined;
  declare readonly data: Uint8Array;
  declare readonly originalLength: number;
  direction: Direction | undefined = undefined;
  flags: number | undefined = undefined;
  dropped: bigint | undefined = undefined;
  details: PacketDetails | undefined = undefined;
  comments: readonly string[] = NONE;

  constructor(number: number, iface: CaptureInterface, time: bigint | undefined, data: Uint8Array, originalLength: number) {
    this.number = number;
    this.iface = iface;
    this.time = time;
    this.data = data;
    this.originalLength = originalLength;
  }

  /** epb_flags. */
  flag(flags: number): void {
    this.flags = flags;
    const way = flags & 3;
    this.direction = way === 1 ? "in" : way === 2 ? "out" : undefined;
  }
}
