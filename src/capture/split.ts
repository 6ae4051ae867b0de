// Datagrams in frames, and super-datagrams cut into the messages that the network card would have sent (UDP segmentation offload; section 5.4).
import { concat } from "../base/bytes.ts";
import { checksum, pseudoSum } from "../packet/checksum.ts";
import { decode } from "../packet/decode.ts";
import type { IpLayer, Layer, UdpLayer } from "../packet/layer.ts";
import { splitSegments } from "./message.ts";
import type { UdpEndpoint } from "./session.ts";

export type Datagram = {
  readonly payload: Uint8Array;
  /** Bytes on the wire. */
  readonly length: number;
  readonly src: UdpEndpoint;
  readonly dst: UdpEndpoint;
  readonly ip: IpLayer;
  readonly udp: UdpLayer;
};

/** The innermost UDP datagram that is really on the wire, not quoted by an ICMP error. */
export function datagramOf(bytes: Uint8Array, layers: readonly Layer[]): Datagram | undefined {
  const quote = layers.findIndex((l) => l.kind === "quote");
  const real = quote < 0 ? layers : layers.slice(0, quote);
  const at = real.findLastIndex((l) => l.kind === "udp");
  if (at < 0) return undefined;
  const udp = real[at] as UdpLayer;
  const above = real[at + 1];
  if (above && above.kind !== "data") return undefined;
  const ip = real.findLast((l, i): l is IpLayer => i < at && (l.kind === "ipv4" || l.kind === "ipv6"));
  if (!ip) return undefined;
  const payload = bytes.subarray(udp.at + 8, udp.end);
  const length = Math.max(udp.totalLength < 8 ? 0 : udp.totalLength - 8, payload.length);
  return { payload, length, src: { ip: ip.src, port: udp.srcPort }, dst: { ip: ip.dst, port: udp.dstPort }, ip, udp };
}

/**
 * One frame a message, with lengths and checksums as the network card would have made them; undefined when the frame holds no super-datagram.
 * `segment`: payload bytes of each, as the kernel said (PACKET_VNET_HDR); else they are found by their content.
 * Wireshark and others see one damaged message in a super-datagram, and cannot open any of it.
 */
export function splitFrame(frame: Uint8Array, link: number, segment?: number): Uint8Array[] | undefined {
  const d = datagramOf(frame, decode(frame, link));
  if (!d || d.length !== d.payload.length) return undefined;
  const parts = segment ? everyBytes(d.payload, segment) : splitSegments(d.payload);
  if (parts.length === 1) return undefined;
  const { ip, udp } = d;
  return parts.map((part) => {
    const data = concat(frame.subarray(0, udp.at + 8), part);
    const v = new DataView(data.buffer);
    const length = 8 + part.length;
    v.setUint16(udp.at + 4, length);
    v.setUint16(udp.at + 6, 0);
    if (ip.kind === "ipv4") {
      v.setUint16(ip.at + 2, udp.at - ip.at + length);
      v.setUint16(ip.at + 10, 0);
      v.setUint16(ip.at + 10, checksum(data.subarray(ip.at, ip.at + ip.length)));
    } else v.setUint16(ip.at + 4, udp.at - ip.at - 40 + length);
    const sum = checksum(data.subarray(udp.at), pseudoSum(ip.src, ip.dst, 17, length));
    v.setUint16(udp.at + 6, sum === 0 ? 0xffff : sum);
    return data;
  });
}

const everyBytes = (payload: Uint8Array, size: number): Uint8Array[] =>
  Array.from({ length: Math.ceil(payload.length / size) }, (_, i) => payload.subarray(i * size, (i + 1) * size));

/** The remark that a cut-out message carries in a file. */
export const segmentComment = (i: number, of: number): string => `message ${i + 1} of ${of} of one captured super-datagram (segmentation offload)`;
