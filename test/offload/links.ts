// TUN links of a test's own network namespace, read and written through the code under test. USO needs Linux 6.2.
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { Coalescer, loadSimd, type Simd, Splitter, SPLITTER_SCRATCH, VIRTIO_HEADER } from "../../src/offload/index.ts";
import { readFd } from "../../src/sys/descriptor.ts";
import { check } from "../../src/sys/ffi.ts";
import { Gather } from "../../src/sys/gather.ts";
import { share } from "../../src/sys/memory.ts";
import { Slab } from "../../src/sys/slab.ts";
import { offloadTun, openTun } from "../../src/sys/tun.ts";

export const slab: Slab = new Slab(share(8 << 20));
export const simd: Simd = loadSimd(slab.memory.wasm);
const gather = new Gather(slab, 64);
const splitter = new Splitter(slab.memory.wasm, simd, slab.take(SPLITTER_SCRATCH));
/** Before it the room that a sealer uses. */
const input = slab.take(256 + VIRTIO_HEADER + 65_536) + 256;
const output = slab.take(5 << 20);

export const ip = (line: string): void => void execFileSync("ip", line.split(" "), { stdio: ["ignore", "ignore", "inherit"] });
export const sysctl = (name: string, value: number): void => writeFileSync(`/proc/sys/net/${name}`, String(value));

/** A TUN that is up. `offloads`: whether the kernel leaves segments and checksums to us. */
export function link(name: string, offloads: boolean): number {
  const fd = openTun(name).fds[0]!;
  const set = offloadTun(fd, { tcp: offloads, udp: offloads });
  if (set.tcp !== offloads || set.udp !== offloads) throw new Error(`${name}: the kernel has ${JSON.stringify(set)}`);
  ip(`link set dev ${name} addrgenmode none mtu 1500 up`);
  return fd;
}

/** One packet as it comes, virtio header first; undefined when there is none. */
export function read(fd: number): Uint8Array | undefined {
  const n = readFd(fd, slab.base + input, VIRTIO_HEADER + 65_536);
  return n < 0 ? undefined : slab.u8.slice(input, input + n);
}
/** The same, split. */
export function segments(whole: Uint8Array): Uint8Array[] {
  slab.u8.set(whole, input);
  const out: Uint8Array[] = [];
  for (let n = splitter.begin(input, whole.length - VIRTIO_HEADER); n > 0; n--) {
    splitter.next(output);
    out.push(slab.u8.slice(output, output + splitter.packetLength));
  }
  return out;
}

export function write(fd: number, bytes: Uint8Array): void {
  slab.u8.set(bytes, output);
  gather.put(0, output, bytes.length);
  check(gather.write(fd, 1), "write to a TUN");
}
/** Merges the packets and writes what comes of it. Answers of how many packets each write was, negative when the kernel refused it. */
export function merge(fd: number, packets: readonly Uint8Array[]): number[] {
  const writes: number[] = [];
  const coalescer = new Coalescer(slab.memory.wasm, simd, {
    write: (at, length, n) => {
      for (let i = 0; i < n; i++) gather.put(i, at[i]!, length[i]!);
      writes.push(gather.write(fd, n) < 0 ? -n : n);
    },
  });
  let at = output + 64;
  for (const packet of packets) {
    slab.u8.set(packet, at);
    coalescer.add(at, packet.length);
    at += packet.length + 64;
  }
  coalescer.flush();
  return writes;
}
