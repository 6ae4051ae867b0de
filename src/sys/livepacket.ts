// Packets out of a ring as they would stand in a file: with the link header that a cooked socket lacks, and the VLAN tag that the kernel took out.
import type { RingPacket } from "./ring.ts";

/** sockaddr_ll.sll_pkttype */
const PACKET_OTHERHOST = 3;
const PACKET_OUTGOING = 4;

/** A packet that was seen on an interface. */
export type LivePacket = {
  /** Wall time in nanoseconds since 1970. */
  readonly timeNs: bigint;
  /** From the link header on, cut to the snap length. A copy, which shares its buffer with the packets of its batch. */
  readonly data: Uint8Array;
  /** Length on the wire. */
  readonly originalLength: number;
  /** "other": promiscuous reception of somebody else's packet. */
  readonly direction: "in" | "out" | "other";
  readonly interfaceIndex: number;
  /** The sender leaves the checksum to hardware: what stands there is none. */
  readonly checksumNotReady: boolean;
  /** Payload bytes of each datagram in a UDP super-datagram (UDP_SEGMENT, UDP_GRO); 0: it is none; undefined: the kernel does not say. */
  readonly segment: number | undefined;
  /** Packets that the kernel lost shortly before this one. */
  readonly dropped: number;
};

const COOKED_BYTES = 20;
const TAG_BYTES = 4;
const TAG_AT = 12;

/** Copies of the packets of one block; `dropped` were lost before the first. */
export function copyBlock(packets: readonly RingPacket[], cooked: boolean, snapLength: number, dropped: number): LivePacket[] {
  const extra = (p: RingPacket): number => (cooked ? COOKED_BYTES : p.vlan && p.data.length >= TAG_AT ? TAG_BYTES : 0);
  const memory = new Uint8Array(packets.reduce((n, p) => n + p.data.length + extra(p), 0));
  let at = 0;
  return packets.map((p, i) => {
    const added = extra(p);
    const from = added === TAG_BYTES ? TAG_AT : 0;
    const whole = memory.subarray(at, (at += p.data.length + added));
    whole.set(p.data.subarray(0, from));
    if (added === COOKED_BYTES) cookedHeader(whole, p.address);
    else if (added === TAG_BYTES) tag(whole, p.vlan!);
    whole.set(p.data.subarray(from), from + added);
    const type = p.address.getUint8(10);
    return {
      timeNs: p.timeNs,
      data: whole.subarray(0, snapLength),
      originalLength: p.originalLength + added,
      direction: type === PACKET_OUTGOING ? "out" : type === PACKET_OTHERHOST ? "other" : "in",
      interfaceIndex: p.address.getInt32(4, true),
      checksumNotReady: p.checksumNotReady,
      segment: p.segment,
      dropped: i === 0 ? dropped : 0,
    };
  });
}

function tag(out: Uint8Array, { tpid, tci }: { tpid: number; tci: number }): void {
  out[TAG_AT] = tpid >> 8;
  out[TAG_AT + 1] = tpid;
  out[TAG_AT + 2] = tci >> 8;
  out[TAG_AT + 3] = tci;
}

/** The LINUX_SLL2 header (www.tcpdump.org/linktypes/LINKTYPE_LINUX_SLL2.html) of a sockaddr_ll. */
function cookedHeader(bytes: Uint8Array, a: DataView): void {
  const out = new DataView(bytes.buffer, bytes.byteOffset, COOKED_BYTES);
  out.setUint16(0, a.getUint16(2)); // protocol
  out.setUint32(4, a.getInt32(4, true)); // interface
  out.setUint16(8, a.getUint16(8, true)); // ARPHRD_
  out.setUint8(10, a.getUint8(10)); // packet type
  out.setUint8(11, a.getUint8(11)); // address length
  for (let i = 0; i < 8; i++) out.setUint8(12 + i, a.getUint8(12 + i));
}
