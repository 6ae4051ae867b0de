// Segmentation offload of a TUN: what it hands over as one is split, what goes to it is merged. Pure: bytes in one shared memory.
export { Coalescer, type CoalescerOptions, COALESCER_HEADROOM, MERGE_SEGMENTS, type TunSink } from "./coalescer.ts";
export { loadSimd, type Simd } from "./simd.ts";
export { Splitter, SPLITTER_SCRATCH } from "./splitter.ts";
export { VIRTIO_HEADER } from "./virtio.ts";
