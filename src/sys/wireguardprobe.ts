// What to read of the kernel's WireGuard, and where: the handshakes that it makes and the sessions that it has. Kernel sources: drivers/net/wireguard/noise.h,
// peerlookup.h, peer.h, allowedips.h; the offsets of a handshake are the same from Linux 5.6 on, all others come from the kernel's own types (btf.ts).
import { readFileSync } from "node:fs";
import { messageOf } from "../base/errors.ts";
import { Btf } from "./btf.ts";
import type { ProbeDefinition } from "./tracefs.ts";

/** Each handshake that this machine makes, as initiator or responder, passes here once: after its ephemeral key was made, before its message is sent. */
export const HANDSHAKE_SYMBOL = "wg_index_hashtable_insert";
/** Called for each prefix of each peer when somebody asks for a device's configuration (`wg show`): a walk through all peers, at a time of our choice. */
export const WALK_SYMBOL = "wg_allowedips_read_node";

/** Registers of the first two arguments. */
const REGISTERS: Readonly<Record<string, readonly [first: string, second: string]>> = { x64: ["%di", "%si"], arm64: ["%x0", "%x1"] };
export const ARCHITECTURES: readonly string[] = Object.keys(REGISTERS);

const KEY = "x8[32]";
/** entry.type of a handshake; the other kind is a session. */
const IS_HANDSHAKE = "type == 1";

export type KernelTypes = {
  /** undefined: the running kernel says nothing of WireGuard's. */
  readonly types: Btf | undefined;
  /** Where they stand, or why there are none. */
  readonly seen: string;
};

/** What the running kernel says of its types: of WireGuard where it is a module, else all of them. `root` stands before every path. */
export function kernelTypes(root = ""): KernelTypes {
  const read = (name: string, base?: Btf): Btf | undefined => {
    let bytes: Uint8Array;
    try {
      bytes = readFileSync(`${root}/sys/kernel/btf/${name}`);
    } catch {
      return undefined;
    }
    return new Btf(bytes, base);
  };
  try {
    const kernel = read("vmlinux");
    if (!kernel) return { types: undefined, seen: "no /sys/kernel/btf" };
    const module = read("wireguard", kernel);
    const where = `/sys/kernel/btf/${module ? "wireguard" : "vmlinux"}`;
    const types = module ?? kernel;
    return types.offset("noise_handshake", "ephemeral_private") === undefined
      ? { types: undefined, seen: `${where} does not tell WireGuard's types` }
      : { types, seen: where };
  } catch (e) {
    return { types: undefined, seen: `/sys/kernel/btf: ${messageOf(e)}` };
  }
}

/** "+8(+0(%si))": reads the pointer at the last offset, adds the one before, …, from a register on. */
const deref = (register: string, ...offsets: readonly number[]): string => offsets.reduceRight((inner, offset) => `+${offset}(${inner})`, register);

/** Offset in a structure; from 5.6 on, where types say nothing. */
const at = (types: Btf | undefined, struct: string, path: string, otherwise: number): number => types?.offset(struct, path) ?? otherwise;

/** Which device a peer is of: its name and the number of its network namespace. Only where the kernel tells its types. */
function device(peer: (...offsets: number[]) => string, types: Btf | undefined): string {
  const path = [
    types?.offset("wg_peer", "device"),
    types?.offset("wg_device", "dev"),
    types?.offset("net_device", "name"),
    types?.offset("net_device", "nd_net.net"),
    types?.offset("net", "ns.inum"),
  ];
  if (path.includes(undefined)) return "";
  const [dev, net, name, namespace, inum] = path as [number, number, number, number, number];
  return `if=${peer(name, net, dev)}:string ns=${peer(inum, namespace, net, dev)}:u32 `;
}

/** The probe of handshakes: their keys, and the two others by which these can be checked. `processor`: process.arch, one of ARCHITECTURES. */
export function handshakeProbe(processor: string, types: Btf | undefined): ProbeDefinition {
  const entry = REGISTERS[processor]![1];
  // The hash entry that is the argument is the first member of the handshake.
  const start = at(types, "noise_handshake", "entry", 0);
  const field = (name: string, otherwise: number): number => at(types, "noise_handshake", name, otherwise) - start;
  const identity = field("static_identity", 48);
  const own = (name: string, otherwise: number): string => `${deref(entry, at(types, "noise_static_identity", name, otherwise), identity)}:${KEY}`;
  const peer = at(types, "index_hashtable_entry", "peer", 0);
  const fetch =
    device((...offsets) => deref(entry, ...offsets, peer), types) +
    `type=${deref(entry, at(types, "index_hashtable_entry", "type", 24))}:u8 ` +
    `static=${own("static_private", 32)} public=${own("static_public", 0)} ` +
    `remote=${deref(entry, field("remote_static", 88))}:${KEY} ` +
    `shared=${deref(entry, field("precomputed_static_static", 152))}:${KEY} ` +
    `ephemeral=${deref(entry, field("ephemeral_private", 56))}:${KEY} ` +
    `preshared=${deref(entry, field("preshared_key", 184))}:${KEY}`;
  return { name: "handshake", symbol: HANDSHAKE_SYMBOL, fetch, filter: IS_HANDSHAKE };
}

/** The probe of sessions: of the current and the previous one of a peer both keys with their receiver indices. undefined where the kernel does not tell its types. */
export function sessionProbe(processor: string, types: Btf): ProbeDefinition | undefined {
  const node = REGISTERS[processor]![0];
  const peer = types.offset("allowedips_node", "peer");
  const offsets = {
    sending: types.offset("noise_keypair", "sending.key"),
    receiving: types.offset("noise_keypair", "receiving.key"),
    local: types.offset("noise_keypair", "entry.index"),
    remote: types.offset("noise_keypair", "remote_index"),
  };
  const current = types.offset("wg_peer", "keypairs.current_keypair");
  const previous = types.offset("wg_peer", "keypairs.previous_keypair");
  const remote = types.offset("wg_peer", "handshake.remote_static");
  if ([peer, current, previous, remote, ...Object.values(offsets)].includes(undefined)) return undefined;
  const pair = (mark: string, keypair: number): string =>
    `${mark}_send=${deref(node, offsets.sending!, keypair, peer!)}:${KEY} ${mark}_receive=${deref(node, offsets.receiving!, keypair, peer!)}:${KEY} ` +
    `${mark}_remote=${deref(node, offsets.remote!, keypair, peer!)}:x32 ${mark}_local=${deref(node, offsets.local!, keypair, peer!)}:x32`;
  const whose = `${device((...rest) => deref(node, ...rest, peer!), types)}remote=${deref(node, remote!, peer!)}:${KEY}`;
  const fetch = `${whose} ${pair("current", current!)} ${pair("previous", previous!)}`;
  return { name: "session", symbol: WALK_SYMBOL, fetch };
}
