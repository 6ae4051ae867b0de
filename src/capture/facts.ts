// What stands in a capture beside its packets, and how many of those there are: collected in passing, bounded whatever the file holds.
import type { CaptureEvent, CaptureFormat, CaptureInterface, CaptureStatistics, Damage, NameRecord, Note } from "./packet.ts";

/** Interfaces, names, counters, damage of a capture; bounded. */
export type Facts = {
  readonly format: CaptureFormat | undefined;
  /** Packets read. */
  readonly packets: number;
  /** Time of the first packet that has one, ns since 1970: relative times start there. */
  readonly first: bigint | undefined;
  readonly last: bigint | undefined;
  readonly interfaces: readonly CaptureInterface[];
  readonly names: readonly NameRecord[];
  readonly statistics: readonly CaptureStatistics[];
  readonly notes: readonly Note[];
  readonly damage: readonly Damage[];
};

/** Records of a kind that are kept; the reader itself bounds interfaces, notes and damage. */
const MAX_RECORDS = 65_536;

export class FactsCollector implements Facts {
  format: CaptureFormat | undefined;
  packets = 0;
  first: bigint | undefined;
  last: bigint | undefined;
  readonly interfaces: CaptureInterface[] = [];
  readonly names: NameRecord[] = [];
  readonly statistics: CaptureStatistics[] = [];
  readonly notes: Note[] = [];
  readonly damage: Damage[] = [];

  add(e: CaptureEvent): void {
    switch (e.kind) {
      case "packet":
        this.packets++;
        this.first ??= e.packet.time;
        this.last = e.packet.time ?? this.last;
        break;
      case "section":
        this.format ??= e.format;
        break;
      case "interface":
        this.interfaces.push(e.iface);
        break;
      case "names":
        // Views of the chunk that they came in, which may be long gone.
        for (const n of e.names) if (this.names.length < MAX_RECORDS) this.names.push({ ip: new Uint8Array(n.ip), names: n.names });
        break;
      case "statistics":
        if (this.statistics.length < MAX_RECORDS) this.statistics.push(e.statistics);
        break;
      case "note":
        this.notes.push(e.note);
        break;
      case "damage":
        this.damage.push(e.damage);
        break;
      case "secrets":
        break;
    }
  }
}
