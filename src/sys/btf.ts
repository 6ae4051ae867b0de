// Where the fields of the kernel's structures are, from the type information that it carries itself: BTF (Documentation/bpf/btf.rst), at /sys/kernel/btf.
// A module's is "split": its types and strings go on where vmlinux's end. Only structures, unions and what stands between a member and its type are followed.
import { utf8 } from "../base/bytes.ts";
import { messageOf, TortieError } from "../base/errors.ts";

const MAGIC = 0xeb9f;
const HEADER = 24;
const TYPE = 12;
const MEMBER = 12;

const Kind = { ARRAY: 3, STRUCT: 4, UNION: 5, TYPEDEF: 8, VOLATILE: 9, CONST: 10, RESTRICT: 11, TYPE_TAG: 18 } as const;
/** Bytes that follow a type of each kind: so many for itself, so many for each of its `vlen` members. By number of the kind; all kinds up to now. */
const FOLLOWS: readonly (readonly [own: number, each: number])[] = [
  [0, 0], // void
  [4, 0], // int
  [0, 0], // pointer
  [12, 0], // array
  [0, MEMBER], // struct
  [0, MEMBER], // union
  [0, 8], // enum
  [0, 0], // forward
  [0, 0], // typedef
  [0, 0], // volatile
  [0, 0], // const
  [0, 0], // restrict
  [0, 0], // function
  [0, 8], // function prototype
  [4, 0], // variable
  [0, 12], // section
  [0, 0], // float
  [4, 0], // declaration tag
  [0, 0], // type tag
  [0, 12], // enum64
];

export class Btf {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #base: Btf | undefined;
  /** Types and bytes of strings in the base. */
  readonly #typesBefore: number;
  readonly #stringsBefore: number;
  /** Positions of the types, in order. */
  readonly #types: number[] = [];
  readonly #strings: number;
  readonly #stringBytes: number;
  readonly #found = new Map<string, number | undefined>();

  /** `base`: what a module's types go on from. Throws TortieError when it is not BTF. */
  constructor(bytes: Uint8Array, base?: Btf) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#base = base;
    this.#typesBefore = base ? base.#typesBefore + base.#types.length : 0;
    this.#stringsBefore = base ? base.#stringsBefore + base.#stringBytes : 0;
    try {
      const v = this.#view;
      if (bytes.length < HEADER || v.getUint16(0, true) !== MAGIC) throw new RangeError("it does not begin as BTF does");
      const start = v.getUint32(4, true);
      this.#strings = start + v.getUint32(16, true);
      this.#stringBytes = v.getUint32(20, true);
      let at = start + v.getUint32(8, true);
      for (const end = at + v.getUint32(12, true); at < end;) {
        this.#types.push(at);
        const [own, each] = FOLLOWS[this.#kind(at)] ?? [undefined, 0];
        if (own === undefined) throw new RangeError(`kind ${this.#kind(at)} is unknown`);
        at += TYPE + own + each * this.#members(at);
      }
    } catch (cause) {
      throw new TortieError(`Cannot read the kernel's type information: ${cause instanceof RangeError ? cause.message : messageOf(cause)}`, {
        cause,
      });
    }
  }

  readonly #kind = (at: number): number => (this.#view.getUint32(at + 4, true) >>> 24) & 31;
  readonly #members = (at: number): number => this.#view.getUint32(at + 4, true) & 0xffff;
  readonly #target = (at: number): number => this.#view.getUint32(at + 8, true);

  /** True when the string at `offset` is `name`. */
  #named(offset: number, name: Uint8Array): boolean {
    if (this.#base && offset < this.#stringsBefore) return this.#base.#named(offset, name);
    const at = this.#strings + offset - this.#stringsBefore;
    return name.every((byte, i) => this.#bytes[at + i] === byte) && this.#bytes[at + name.length] === 0;
  }

  /** Whose a type is, and where it stands there. 0, and what is beyond all types, is none. */
  #type(id: number): { in: Btf; at: number } | undefined {
    if (id <= this.#typesBefore) return this.#base ? this.#base.#type(id) : undefined;
    const at = this.#types[id - this.#typesBefore - 1];
    return at === undefined ? undefined : { in: this, at };
  }

  /** The number of the structure of this name. */
  #struct(name: string): number | undefined {
    if (this.#found.has(name)) return this.#found.get(name);
    const wanted = utf8(name);
    const i = this.#types.findIndex((at) => this.#kind(at) === Kind.STRUCT && this.#named(this.#view.getUint32(at, true), wanted));
    const id = i >= 0 ? this.#typesBefore + i + 1 : this.#base ? this.#base.#struct(name) : undefined;
    this.#found.set(name, id);
    return id;
  }

  /** The structure or union behind typedefs and qualifiers. */
  #composite(id: number): { in: Btf; at: number } | undefined {
    // Damaged types may lead in a circle.
    for (let steps = 0; steps < 32; steps++) {
      const type = this.#type(id);
      const kind = type && type.in.#kind(type.at);
      if (kind === Kind.STRUCT || kind === Kind.UNION) return type;
      if (!type || !(kind === Kind.TYPEDEF || kind === Kind.VOLATILE || kind === Kind.CONST || kind === Kind.RESTRICT || kind === Kind.TYPE_TAG))
        return undefined;
      id = type.in.#target(type.at);
    }
    return undefined;
  }

  #member(id: number, name: Uint8Array, depth = 0): { offset: number; type: number } | undefined {
    const composite = this.#composite(id);
    if (!composite || depth > 8) return undefined;
    const { in: owner, at } = composite;
    const v = owner.#view;
    const bitfields = v.getUint32(at + 4, true) >>> 31 === 1;
    for (let i = 0; i < owner.#members(at); i++) {
      const m = at + TYPE + i * MEMBER;
      if (m + MEMBER > owner.#bytes.length) return undefined;
      const nameAt = v.getUint32(m, true);
      const type = v.getUint32(m + 4, true);
      const bits = v.getUint32(m + 8, true);
      const offset = (bitfields ? bits & 0xff_ffff : bits) / 8;
      if (nameAt === 0) {
        const inner = this.#member(type, name, depth + 1);
        if (inner) return { offset: offset + inner.offset, type: inner.type };
      } else if (owner.#named(nameAt, name)) return { offset, type };
    }
    return undefined;
  }

  /** Bytes from the beginning of a structure to a member: "entry.peer" is peer within entry. undefined when there is no such one. */
  offset(struct: string, path: string): number | undefined {
    let id = this.#struct(struct);
    let sum = 0;
    for (const name of path.split(".")) {
      const member = id === undefined ? undefined : this.#member(id, utf8(name));
      if (!member) return undefined;
      sum += member.offset;
      id = member.type;
    }
    return sum;
  }
}
