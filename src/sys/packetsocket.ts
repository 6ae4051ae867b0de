// Live capture: AF_PACKET sockets with a TPACKET_V3 ring (packet(7), the kernel's Documentation/networking/packet_mmap.rst).

/** A packet that was seen on an interface. */
export type LivePacket = {
  /** Wall time in nanoseconds since 1970. */
  readonly timeNs: bigint;
  /** From the link header on, cut to the snap length. A copy: the receiver's to keep. */
  readonly data: Uint8Array<ArrayBuffer>;
  /** Length on the wire. */
  readonly originalLength: number;
  /** "other": promiscuous reception of somebody else's packet. */
  readonly direction: "in" | "out" | "other";
  readonly interfaceIndex: number;
};

export type PacketSocketOptions = {
  /** Name of the interface in this process's network namespace; "any": all of them, with link type LINUX_SLL2 (276). */
  interface: string;
  /** A filter expression (src/capture/filter); "": everything. @default "" */
  filter?: string;
  /** Ports of the filter macro `wireguard`. @default [51820] */
  wireguardPorts?: readonly number[];
  /** Bytes kept of a packet. @default 262144 */
  snapLength?: number;
  /** Memory of the ring. @default 8 MiB */
  bufferBytes?: number;
  /** How long a packet may wait for company before it is handed over. @default 50 */
  retireMs?: number;
  /** Receive packets for other hosts too. @default false */
  promiscuous?: boolean;
};

export interface PacketSocket {
  /** 1 EN10MB, 101 RAW or 276 LINUX_SLL2. */
  readonly linkType: number;
  /** Batches as they come, until close(). To be iterated once. Throws SysError when the interface goes down for good. */
  packets(): AsyncIterable<readonly LivePacket[]>;
  /** Since the start. `received` counts what passed the filter, `dropped` what of it found no room. */
  statistics(): { readonly received: number; readonly dropped: number };
  /** Ends packets() after what has arrived by now was handed over. */
  close(): Promise<void>;
}

export type CapturableInterface = {
  readonly name: string;
  readonly index: number;
  readonly linkType: number;
  readonly up: boolean;
  readonly loopback: boolean;
};
