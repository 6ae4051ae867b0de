// The control half's side of the allowed-IPs tries: path-compressed binary tries in the tables (the kernel's allowedips.c has the same shape). A new node
// is filled before the one store that links it; a removed one is freed when no reader can stand on it. At most one change at a time.
import type { Cidr } from "../base/cidr.ts";
import type { Reclaimer } from "./reclaim.ts";
import { Head, Node, type Tables } from "./tables.ts";

type Key = readonly [number, number, number, number];

const keyOf = ({ ip }: Cidr): Key =>
  [0, 4, 8, 12].map((i) => ((ip[i] ?? 0) << 24) | ((ip[i + 1] ?? 0) << 16) | ((ip[i + 2] ?? 0) << 8) | (ip[i + 3] ?? 0)) as unknown as Key;
const bitOf = (key: Key, index: number): number => (key[index >>> 5]! >>> (31 - (index & 31))) & 1;

export class AllowedIps {
  readonly #t: Tables;
  readonly #reclaimer: Reclaimer;
  /** Unused nodes, and how many of the region were ever used. */
  readonly #free: number[] = [];
  #used = 0;
  /** Nodes of each peer in the order of insertion; those of IPv6 are negative. */
  readonly #owned = new Map<number, Set<number>>();

  constructor(tables: Tables, reclaimer: Reclaimer) {
    this.#t = tables;
    this.#reclaimer = reclaimer;
  }
  /** Nodes that are linked or wait to be freed: for leak checks. */
  get nodesInUse(): number {
    return this.#used - this.#free.length;
  }

  /** Gives the prefix (host bits are zero) to the peer, whoever had it. False: no room; nothing was changed. */
  add(peer: number, prefix: Cidr): boolean {
    const key = keyOf(prefix);
    const family = prefix.ip.length;
    const { parent, child, exact } = this.#find(family, key, prefix.prefix);
    let node = exact;
    if (node === 0) {
      if (this.#free.length + this.#t.limits.trieNodes - this.#used < 2) return false;
      node = this.#make(key, prefix.prefix, peer + 1);
      const shared = child === 0 ? 128 : Math.min(prefix.prefix, this.#common(child, key));
      if (child === 0) this.#link(family, parent, node, key);
      else if (shared === prefix.prefix) {
        // Ours lies between the two.
        this.#setChild(node, bitOf(this.#key(child), shared), child);
        this.#link(family, parent, node, key);
      } else {
        const branch = this.#make(key, shared, 0);
        this.#setChild(branch, bitOf(key, shared), node);
        this.#setChild(branch, bitOf(this.#key(child), shared), child);
        this.#link(family, parent, branch, key);
      }
    } else {
      this.#owned.get(this.#owner(node))?.delete(family === 4 ? node : -node);
      Atomics.store(this.#t.i32, this.#at(node) + Node.META, ((peer + 1) << 8) | prefix.prefix);
    }
    const owned = this.#owned.get(peer) ?? new Set();
    // A prefix that is given again moves to the end, as with the kernel.
    owned.add(family === 4 ? node : -node);
    this.#owned.set(peer, owned);
    this.#changed();
    return true;
  }
  /** Removes the prefix if the peer owns exactly it. */
  remove(peer: number, prefix: Cidr): void {
    const { exact } = this.#find(prefix.ip.length, keyOf(prefix), prefix.prefix);
    const entry = prefix.ip.length === 4 ? exact : -exact;
    if (exact === 0 || !this.#owned.get(peer)?.delete(entry)) return;
    this.#drop(entry);
    this.#changed();
  }
  clear(peer: number): void {
    const owned = this.#owned.get(peer);
    for (const entry of owned ?? []) this.#drop(entry);
    // Who is in the middle of of() must not go on to nodes that are others' by then.
    owned?.clear();
    this.#owned.delete(peer);
    this.#changed();
  }
  *of(peer: number): Iterable<Cidr> {
    for (const entry of this.#owned.get(peer) ?? []) {
      const node = Math.abs(entry);
      const at = this.#at(node);
      const ip = new Uint8Array(entry > 0 ? 4 : 16);
      for (let i = 0; i < ip.length; i++) ip[i] = this.#t.i32[at + (i >> 2)]! >>> (24 - 8 * (i & 3));
      yield { ip, prefix: this.#prefix(node) };
    }
  }

  #changed(): void {
    Atomics.add(this.#t.i32, this.#t.head + Head.TRIES, 1);
  }
  #drop(entry: number): void {
    const node = Math.abs(entry);
    const root = entry > 0 ? Head.ROOT4 : Head.ROOT6;
    Atomics.store(this.#t.i32, this.#at(node) + Node.META, this.#prefix(node));
    this.#shorten(root, node);
  }
  // Takes an ownerless node with fewer than two children out, and then its parent if that has become such a node.
  #shorten(root: number, node: number): void {
    const at = this.#at(node);
    const [left, right] = [this.#t.i32[at + Node.CHILD]!, this.#t.i32[at + Node.CHILD + 1]!];
    if (this.#owner(node) >= 0 || (left !== 0 && right !== 0)) return;
    const link = this.#t.i32[at + Node.PARENT]!;
    const parent = link >>> 1;
    this.#replace(root, link, left || right);
    this.#reclaimer.retire(() => this.#free.push(node) > 0);
    if (parent !== 0) this.#shorten(root, parent);
  }
  #replace(root: number, link: number, node: number): void {
    const parent = link >>> 1;
    if (node !== 0) this.#t.i32[this.#at(node) + Node.PARENT] = link;
    Atomics.store(this.#t.i32, parent === 0 ? this.#t.head + root : this.#at(parent) + Node.CHILD + (link & 1), node);
  }
  #link(family: number, parent: number, node: number, key: Key): void {
    this.#replace(family === 4 ? Head.ROOT4 : Head.ROOT6, parent === 0 ? 0 : (parent << 1) | bitOf(key, this.#prefix(parent)), node);
  }
  #setChild(node: number, bit: number, child: number): void {
    this.#t.i32[this.#at(node) + Node.CHILD + bit] = child;
    this.#t.i32[this.#at(child) + Node.PARENT] = (node << 1) | bit;
  }
  #make(key: Key, prefix: number, owner: number): number {
    const node = this.#free.pop() ?? ++this.#used;
    const at = this.#at(node);
    for (let i = 0; i < 4; i++) {
      const kept = Math.min(32, Math.max(0, prefix - 32 * i));
      this.#t.i32[at + i] = kept === 0 ? 0 : key[i]! & (-1 << (32 - kept));
    }
    this.#t.i32[at + Node.META] = (owner << 8) | prefix;
    this.#t.i32.fill(0, at + Node.CHILD, at + Node.WORDS);
    return node;
  }
  // The deepest node that covers the prefix, what hangs below it on the way, and the node that is the prefix itself.
  #find(family: number, key: Key, prefix: number): { parent: number; child: number; exact: number } {
    let parent = 0;
    let node = this.#t.i32[this.#t.head + (family === 4 ? Head.ROOT4 : Head.ROOT6)]!;
    while (node !== 0 && this.#prefix(node) <= prefix && this.#common(node, key) >= this.#prefix(node)) {
      if (this.#prefix(node) === prefix) return { parent, child: node, exact: node };
      parent = node;
      node = this.#t.i32[this.#at(node) + Node.CHILD + bitOf(key, this.#prefix(node))]!;
    }
    return { parent, child: node, exact: 0 };
  }
  #common(node: number, key: Key): number {
    const at = this.#at(node);
    let same = 0;
    for (let i = 0; i < 4 && same === 32 * i; i++) same += Math.clz32(this.#t.i32[at + i]! ^ key[i]!);
    return same;
  }
  #key(node: number): Key {
    const at = this.#at(node);
    return [this.#t.i32[at]!, this.#t.i32[at + 1]!, this.#t.i32[at + 2]!, this.#t.i32[at + 3]!];
  }
  #at(node: number): number {
    return this.#t.nodes + node * Node.WORDS;
  }
  #prefix(node: number): number {
    return this.#t.i32[this.#at(node) + Node.META]! & 255;
  }
  #owner(node: number): number {
    return (this.#t.i32[this.#at(node) + Node.META]! >>> 8) - 1;
  }
}
