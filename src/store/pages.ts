// The store's file read without LMDB: LMDB maps it and trusts it, so that a damaged page ends the process by a signal (SIGBUS, SIGSEGV), never ends, or
// gives wrong data. Here every page that is in use is looked at, each once, with every length and number in it checked, before LMDB sees the file; what
// the pages hold is what the store is loaded from.
// Layout: libraries/liblmdb/mdb.c as lmdb-js builds it (data version 2, 64 bits, little endian), its structs MDB_page_header, MDB_node, MDB_db, MDB_meta,
// MDB_ovpage; lists of free pages as mdb_midl_xmerge() reads them. Two meta pages take turns; a third, in the second half of the first page, is the last
// that was synced.
import { closeSync, fstatSync, openSync, readFileSync, readSync } from "node:fs";

const META = { magic: 24, version: 28, free: 48, main: 96, lastPage: 144, transaction: 152, boot: 160, end: 168 } as const;
const [MAGIC, VERSION] = [0xbeefc0de, 2];
const PAGE = { number: 0, transaction: 8, flags: 18, lower: 20, upper: 22, pages: 20, header: 24 } as const;
const [BRANCH, LEAF, OVERFLOW, META_PAGE] = [1, 2, 4, 8];
const NODE = { low: 0, high: 2, flags: 4, keySize: 6, header: 8 } as const;
const [BIG, TABLE] = [1, 2];
const DB = { flags: 4, depth: 6, branches: 8, leaves: 16, overflows: 24, entries: 32, root: 40, size: 48 } as const;
const PAGE_SIZES = [4096, 8192, 16384, 32768, 65536];
const INTEGER_KEY = 8;
/** The flags of the whole file stand in those of the free pages' tree: not synced yet, and a file without a directory of its own. */
const [UNSYNCED, NO_DIRECTORY] = [0x1000, 0x4000];
/** Deeper than any tree of 2^48 pages. */
const DEEPEST = 24;
const NO_PAGE = 0xffff_ffff_ffff_ffffn;

/** The file is not what LMDB wrote; the message says what is wrong. */
export class DamagedPages extends Error {}

/** A key and its value; a table's value is its MDB_db. Copies: they do not hold the file in memory. */
type Item = { readonly key: Buffer; readonly value: Buffer; readonly table: boolean };
/** The tables of a file by name, in the order of their keys. */
export type Tables = ReadonlyMap<string, readonly Item[]>;

/** Reads the whole file, and checks it. Undefined: there is none. Throws DamagedPages. */
export function readTables(path: string): Tables | undefined {
  let fd: number;
  try {
    fd = openSync(path, "r");
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw cause;
  }
  try {
    const { size } = fstatSync(fd);
    if (size === 0) throw new DamagedPages("it is empty");
    return new PageFile((buffer, at) => readSync(fd, buffer, 0, buffer.length, at), size, bootId()).tables();
  } finally {
    closeSync(fd);
  }
}

/** What LMDB takes for the running system: of a meta page of another boot it does not know whether its pages came to the disk. */
export function bootId(): bigint {
  return BigInt(`0x${/^[0-9a-f]*/.exec(readFileSync("/proc/sys/kernel/random/boot_id", "latin1"))![0] || "0"}`);
}

type Meta = { readonly view: Buffer; readonly transaction: bigint };
type Tree = {
  readonly name: string;
  readonly root: bigint;
  readonly depth: number;
  readonly counts: readonly bigint[];
  /** Keys are uint64 in the machine's order; else bytes. */
  readonly integers: boolean;
};
/** Bounds of the keys of a page: at least `low`, less than `high`. */
type Bounds = { readonly low: Buffer | undefined; readonly high: Buffer | undefined };
type Counted = { branches: bigint; leaves: bigint; overflows: bigint; entries: bigint };

/** Bytes by which a file may be shorter than its last page says: pages that were taken and given back were never written. */
const UNWRITTEN = 1 << 26;

/** One file of `size` bytes. `read` fills a buffer from an offset and gives how many bytes there were. */
export class PageFile {
  readonly #read: (buffer: Buffer, at: number) => number;
  readonly #pageSize: number;
  readonly #meta: Meta;
  readonly #lastPage: bigint;
  readonly #used = new Set<number>();

  /** Throws DamagedPages when the first pages are none of LMDB, or contradict each other. */
  constructor(read: (buffer: Buffer, at: number) => number, size: number, boot: bigint) {
    this.#read = read;
    const first = this.#metaAt(0, 0);
    this.#pageSize = first.view.readUInt32LE(META.free);
    if (!PAGE_SIZES.includes(this.#pageSize)) throw new DamagedPages("it names no size of its pages");
    const second = this.#metaAt(this.#pageSize, 1);
    const synced = this.#metaAt(this.#pageSize / 2, undefined);
    this.#meta = choose(first, second, synced, boot);
    this.#lastPage = this.#meta.view.readBigUInt64LE(META.lastPage);
    if ((this.#lastPage + 1n) * BigInt(this.#pageSize) > BigInt(size + UNWRITTEN)) throw new DamagedPages("it ends too early");
  }

  #metaAt(at: number, page: number | undefined): Meta {
    const view = Buffer.alloc(META.end);
    if (this.#read(view, at) < META.end) throw new DamagedPages("it ends too early");
    // The synced one has no head.
    if (page !== undefined) {
      if (view.readUInt32LE(META.magic) !== MAGIC) throw new DamagedPages("it is no file of LMDB");
      if (view.readUInt32LE(META.version) !== VERSION) throw new DamagedPages("its version of LMDB is not known");
      if (view.readBigUInt64LE(PAGE.number) !== BigInt(page) || view.readUInt16LE(PAGE.flags) !== META_PAGE)
        throw new DamagedPages(`page ${page} is not a first page`);
    }
    return { view, transaction: view.readBigUInt64LE(META.transaction) };
  }

  tables(): Tables {
    const { view } = this.#meta;
    const free = this.#tree("the list of free pages", view.subarray(META.free, META.free + DB.size), INTEGER_KEY);
    const main = this.#tree("the list of tables", view.subarray(META.main, META.main + DB.size), 0);
    const tables = new Map<string, readonly Item[]>();
    for (const { key, value, table } of this.#items(main)) {
      if (!table || value.length !== DB.size) throw new DamagedPages("the list of tables holds something else");
      // lmdb-js keeps the zero behind a name.
      const name = key.toString("latin1").replace(/\0$/, "");
      tables.set(name, [...this.#items(this.#tree(`table "${name}"`, value, 0))]);
    }
    for (const { value } of this.#items(free)) this.#checkFree(value);
    // Every transaction writes the list of tables anew: an older one, taken for the newest, shows here.
    if (main.root !== NO_PAGE && this.#page(Number(main.root)).readBigUInt64LE(PAGE.transaction) !== this.#meta.transaction) throw contradiction();
    return tables;
  }

  #tree(name: string, db: Buffer, flags: number): Tree {
    const tree = {
      name,
      root: db.readBigUInt64LE(DB.root),
      depth: db.readUInt16LE(DB.depth),
      counts: [DB.branches, DB.leaves, DB.overflows, DB.entries].map((at) => db.readBigUInt64LE(at)),
      integers: flags === INTEGER_KEY,
    };
    const have = db.readUInt16LE(DB.flags) & ~(flags === INTEGER_KEY ? UNSYNCED | NO_DIRECTORY : 0);
    if (have !== flags || tree.depth > DEEPEST || (tree.root === NO_PAGE) !== (tree.depth === 0))
      throw new DamagedPages(`${name} is described wrongly`);
    return tree;
  }

  *#items(tree: Tree): Generator<Item> {
    const counted: Counted = { branches: 0n, leaves: 0n, overflows: 0n, entries: 0n };
    if (tree.root !== NO_PAGE) yield* this.#walk(tree, tree.root, tree.depth, { low: undefined, high: undefined }, counted);
    if ([counted.branches, counted.leaves, counted.overflows, counted.entries].some((n, i) => n !== tree.counts[i]))
      throw new DamagedPages(`${tree.name} has lost or won pages`);
  }

  *#walk(tree: Tree, number: bigint, depth: number, bounds: Bounds, counted: Counted): Generator<Item> {
    const leaf = depth === 1;
    const compare = tree.integers ? byNumber : byBytes;
    const page = this.#take(number, leaf ? LEAF : BRANCH, tree);
    const wrong = (): DamagedPages => new DamagedPages(`page ${number} of ${tree.name} is not what was written`);
    const [lower, upper] = [page.readUInt16LE(PAGE.lower), page.readUInt16LE(PAGE.upper)];
    const room = this.#pageSize - PAGE.header;
    const count = lower / 2;
    if (lower % 2 !== 0 || lower > upper || upper > room || count < (leaf ? 1 : 2)) throw wrong();
    const body = page.subarray(PAGE.header);
    if (leaf) counted.leaves++;
    else counted.branches++;
    const nodes = Array.from({ length: count }, (_, i) => {
      const at = body.readUInt16LE(2 * i);
      if (at % 2 !== 0 || at < upper || at + NODE.header > room) throw wrong();
      const keySize = body.readUInt16LE(at + NODE.keySize);
      const end = at + NODE.header + keySize;
      if (end > room) throw wrong();
      // The first key of a branch page is not used: nothing is less than what stands there.
      const key = !leaf && i === 0 ? undefined : Buffer.from(body.subarray(at + NODE.header, end));
      if (key && tree.integers && key.length !== 8) throw wrong();
      return { at, end, key };
    });
    let last = bounds.low;
    for (const [i, { at, end, key }] of nodes.entries()) {
      if (key) {
        if (last && compare(key, last) < (i === 0 || (!leaf && i === 1) ? 0 : 1)) throw wrong();
        if (bounds.high && compare(key, bounds.high) >= 0) throw wrong();
        last = key;
      }
      const [low, high, flags] = [body.readUInt16LE(at + NODE.low), body.readUInt16LE(at + NODE.high), body.readUInt16LE(at + NODE.flags)];
      if (!leaf) {
        const child = BigInt(low) | (BigInt(high) << 16n) | (BigInt(flags) << 32n);
        yield* this.#walk(tree, child, depth - 1, { low: key ?? bounds.low, high: nodes[i + 1]?.key ?? bounds.high }, counted);
        continue;
      }
      const size = low + high * 0x10000;
      counted.entries++;
      if (flags === BIG) {
        if (end + 24 > room) throw wrong();
        yield { key: key!, value: this.#overflow(body.subarray(end, end + 24), size, tree, counted), table: false };
      } else {
        if ((flags !== 0 && flags !== TABLE) || end + size > room) throw wrong();
        yield { key: key!, value: Buffer.from(body.subarray(end, end + size)), table: flags === TABLE };
      }
    }
  }

  #overflow(reference: Buffer, size: number, tree: Tree, counted: Counted): Buffer {
    const [number, pages] = [reference.readBigUInt64LE(0), reference.readBigUInt64LE(16)];
    const page = this.#take(number, OVERFLOW, tree);
    // More than needed: the value was longer earlier in the same transaction of LMDB.
    const needed = BigInt(Math.floor((PAGE.header - 1 + size) / this.#pageSize) + 1);
    if (BigInt(page.readUInt32LE(PAGE.pages)) !== pages || pages < needed || page.readBigUInt64LE(PAGE.transaction) !== reference.readBigUInt64LE(8))
      throw new DamagedPages(`page ${number} of ${tree.name} is not what was written`);
    for (let i = 1n; i < pages; i++) this.#use(number + i, tree);
    counted.overflows += pages;
    const value = Buffer.allocUnsafeSlow(size);
    if (this.#read(value, Number(number) * this.#pageSize + PAGE.header) < size) throw new DamagedPages("it ends too early");
    return value;
  }

  /** A page that must be of this kind; it cannot be taken again. */
  #take(number: bigint, kind: number, tree: Tree): Buffer {
    const at = this.#use(number, tree);
    const page = this.#page(at);
    if (
      page.readBigUInt64LE(PAGE.number) !== number ||
      page.readUInt16LE(PAGE.flags) !== kind ||
      page.readBigUInt64LE(PAGE.transaction) > this.#meta.transaction
    )
      throw new DamagedPages(`page ${number} of ${tree.name} is not what was written`);
    return page;
  }
  #use(number: bigint, tree: Tree): number {
    if (number < 2n || number > this.#lastPage) throw new DamagedPages(`${tree.name} points beyond the end`);
    const at = Number(number);
    if (this.#used.has(at)) throw new DamagedPages(`page ${number} is used twice`);
    this.#used.add(at);
    return at;
  }
  #page(number: number): Buffer {
    const page = Buffer.allocUnsafeSlow(this.#pageSize);
    if (this.#read(page, number * this.#pageSize) < page.length) throw new DamagedPages("it ends too early");
    return page;
  }

  /** A count, then pages: a number each; behind a negative one, that many from the next number on; 0 stands for nothing. */
  #checkFree(list: Buffer): void {
    const wrong = (): DamagedPages => new DamagedPages("the list of free pages is not what was written");
    if (list.length < 8) throw wrong();
    const count = list.readBigUInt64LE(0);
    if (count > BigInt(Math.floor(list.length / 8) - 1)) throw wrong();
    for (let i = 1; i <= Number(count); i++) {
      let first = list.readBigInt64LE(8 * i);
      let length = 1n;
      if (first < 0n) {
        length = -first;
        if (++i > Number(count)) throw wrong();
        first = list.readBigInt64LE(8 * i);
      } else if (first === 0n) continue;
      if (first < 2n || first + length - 1n > this.#lastPage) throw wrong();
      // Free and in use, or free twice: LMDB would write over it.
      for (let page = Number(first); page < Number(first + length); page++) {
        if (this.#used.has(page)) throw wrong();
        this.#used.add(page);
      }
    }
  }
}

const byBytes = (a: Buffer, b: Buffer): number => Buffer.compare(a, b);
const byNumber = (a: Buffer, b: Buffer): number =>
  Number(a.readBigUInt64LE() > b.readBigUInt64LE()) - Number(a.readBigUInt64LE() < b.readBigUInt64LE());

const contradiction = (): DamagedPages => new DamagedPages("its first pages contradict each other");

/** The one that LMDB would go by (mdb_pick_meta), or why none can be. */
function choose(first: Meta, second: Meta, synced: Meta, boot: bigint): Meta {
  const newer = first.transaction >= second.transaction ? first : second;
  const [even, odd] = [first.transaction % 2n, second.transaction % 2n];
  const distance = first.transaction - second.transaction;
  const begun = first.transaction !== 0n || second.transaction !== 0n;
  if (begun && (even !== 0n || odd !== 1n || (distance !== 1n && distance !== -1n))) throw contradiction();
  if (synced.transaction > newer.transaction) throw contradiction();
  return pick(pick(first, second, boot), synced, boot);
}
function pick(a: Meta, b: Meta, boot: bigint): Meta {
  if (b.transaction === 0n) return a;
  const newer = a.transaction >= b.transaction ? a : b;
  const bootOf = newer.view.readBigInt64LE(META.boot);
  if ((bootOf !== 0n && bootOf === boot) || (newer.view.readUInt16LE(META.free + DB.flags) & UNSYNCED) === 0) return newer;
  return a.transaction > b.transaction ? b : a;
}
