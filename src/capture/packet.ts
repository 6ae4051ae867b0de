// What a capture is made of, whatever file or socket it comes from: interfaces, packets, and what stands beside them.
// pcapng's model (draft-ietf-opsawg-pcapng); a classic pcap file is one section with one interface.

/** One capture point. In a pcap file there is one, number 0. */
export type CaptureInterface = {
  /** Number in the whole file: sections do not start again at 0. */
  readonly id: number;
  /** LINKTYPE_ value (packet/link.ts). */
  readonly link: number;
  /** Bytes kept of a packet at most; 0 = no limit. */
  readonly snaplen: number;
  /** Bytes of frame check sequence at the end of each packet. */
  readonly fcsLength: number;
  readonly name?: string;
  readonly description?: string;
  readonly filter?: string;
  readonly os?: string;
  readonly hardware?: string;
  readonly mac?: Uint8Array;
  /** EUI-64. */
  readonly eui?: Uint8Array;
  readonly ips?: readonly { readonly ip: Uint8Array; readonly prefix: number }[];
  /** Bits per second. */
  readonly speed?: bigint;
  readonly txSpeed?: bigint;
  readonly rxSpeed?: bigint;
  /** IANA's name. */
  readonly timezone?: string;
  readonly comments: readonly string[];
};

/** How a packet met the interface (pcapng epb_flags bits 0 and 1; packet type of "cooked" link layers). */
export type Direction = "in" | "out";

/** A packet, as much of it as was captured. */
export type CapturedPacket = {
  /** 1 for the first of the file. */
  readonly number: number;
  readonly iface: CaptureInterface;
  /** Nanoseconds since 1970; undefined when the file does not say (simple packet block, impossible resolution). */
  readonly time: bigint | undefined;
  /** What was kept, from the link header on. Shares memory with the chunk it came in: copy what you keep for long. */
  readonly data: Uint8Array;
  /** Length on the wire; never less than data.length. */
  readonly originalLength: number;
  readonly direction?: Direction | undefined;
  /** epb_flags as in the file. */
  readonly flags?: number | undefined;
  /** Packets lost between this one and the one before on its interface. */
  readonly dropped?: bigint | undefined;
  readonly details?: PacketDetails | undefined;
  readonly comments: readonly string[];
};

/** What few writers say of a packet (pcapng epb_hash, epb_packetid, epb_queue, epb_verdict, epb_processid_threadid). */
export type PacketDetails = {
  /** One byte of algorithm, then the hash. */
  readonly hash?: Uint8Array;
  readonly id?: bigint;
  readonly queue?: number;
  /** One byte of who decided (hardware, eBPF), then what. */
  readonly verdict?: Uint8Array;
  readonly process?: bigint;
};

/** Counters of an interface (pcapng interface statistics block); what is absent was not counted. */
export type CaptureStatistics = {
  readonly iface: CaptureInterface;
  readonly time?: bigint;
  readonly start?: bigint;
  readonly end?: bigint;
  readonly received?: bigint;
  /** Lost at the interface. */
  readonly dropped?: bigint;
  readonly accepted?: bigint;
  /** Lost by the operating system: the ring was full. */
  readonly osDropped?: bigint;
  readonly delivered?: bigint;
  readonly comments?: readonly string[];
};

/** Names of an address (pcapng name resolution block). */
export type NameRecord = { readonly ip: Uint8Array; readonly names: readonly string[] };

/** Decryption secrets block: `type` is the block's secrets type, `data` the text or bytes in it. */
export type SecretsBlock = { readonly type: number; readonly data: Uint8Array };

/** "WGKL": WireGuard key log, as Wireshark's editcap --inject-secrets wg writes. */
export const SECRETS_WIREGUARD = 0x57474b4c;

/** Where the file breaks and why; `block` is the kind of block or record that was being read. Nothing after it was read, unless salvaged. */
export type Damage = { readonly offset: number; readonly block: string; readonly reason: string };
/** Something odd that did not stop the reading. */
export type Note = { readonly offset: number; readonly what: string };

/** What a section says of the machine and the program that wrote it. */
export type SectionTexts = { readonly hardware?: string; readonly os?: string; readonly application?: string; readonly comments?: readonly string[] };

/** `offset`: the first byte of its block or record in the file, where it comes from one. */
export type CaptureEvent =
  | ({ readonly kind: "section"; readonly format: CaptureFormat; readonly littleEndian: boolean; readonly offset?: number } & SectionTexts)
  | { readonly kind: "interface"; readonly iface: CaptureInterface; readonly offset?: number }
  | { readonly kind: "packet"; readonly packet: CapturedPacket; readonly offset?: number }
  | { readonly kind: "secrets"; readonly secrets: SecretsBlock }
  | { readonly kind: "names"; readonly names: readonly NameRecord[] }
  | { readonly kind: "statistics"; readonly statistics: CaptureStatistics }
  | { readonly kind: "note"; readonly note: Note }
  | { readonly kind: "damage"; readonly damage: Damage };

export type CaptureFormat = "pcap" | "pcap-ns" | "pcapng";

/** Limits of rule 4.4.1: nothing is believed beyond them. */
export const MAX_PACKET = 262_144;
export const MAX_BLOCK: number = 16 << 20;
export const MAX_INTERFACES = 65_536;
/** Name records of a file. */
export const MAX_NAMES = 65_536;
