// Classic BPF as the kernel takes it (linux/filter.h, struct sock_filter), and what a filter expression is compiled for.

/** One instruction; `code` as in linux/bpf_common.h. */
export type Instruction = { readonly code: number; readonly jt: number; readonly jf: number; readonly k: number };
/** Returns the number of bytes to keep of a packet; 0: none. */
export type Program = readonly Instruction[];

export type CompileOptions = {
  /** Bytes that the program keeps of a packet. @default 262144 */
  snapLength?: number;
  /** Bytes that the program keeps of a packet that carries one WireGuard data message; handshakes stay whole. @default snapLength */
  dataSnapLength?: number;
  /** For a live AF_PACKET socket: the VLAN tag is not in the data but in the packet's ancillary data. @default false */
  live?: boolean;
  /** UDP ports that the macro `wireguard` matches besides the message shapes. @default [51820] */
  wireguardPorts?: readonly number[];
};
