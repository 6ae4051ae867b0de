// Binary forms of plain values: a form is written down once and works in both directions, so that writer and reader cannot disagree. Numbers are
// little-endian. What is written and read may be secret: the writer's memory is wiped when it grows, and what is read is memory of its own.
import { fromUtf8, utf8 } from "./bytes.ts";
import { TortieError } from "./errors.ts";

export interface Form<T> {
  write(to: Writer, value: T): void;
  /** Throws TortieError when the bytes end too early or make no sense. */
  read(from: Reader): T;
}

export class Writer {
  #bytes: Uint8Array<ArrayBuffer>;
  #view: DataView;
  #length = 0;

  constructor(size = 4096) {
    this.#bytes = new Uint8Array(new ArrayBuffer(size));
    this.#view = new DataView(this.#bytes.buffer);
  }
  /** What was written so far: a view, until the next write. */
  get bytes(): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(0, this.#length);
  }
  /** Room for `length` bytes more: where it begins. */
  take(length: number): number {
    const at = this.#length;
    this.#length += length;
    if (this.#length > this.#bytes.length) {
      const old = this.#bytes;
      this.#bytes = new Uint8Array(new ArrayBuffer(Math.max(this.#length, 2 * old.length)));
      this.#bytes.set(old);
      this.#view = new DataView(this.#bytes.buffer);
      old.fill(0);
    }
    return at;
  }
  get view(): DataView {
    return this.#view;
  }
  put(bytes: Uint8Array): void {
    const at = this.take(bytes.length);
    this.#bytes.set(bytes, at);
  }
}

export class Reader {
  readonly view: DataView;
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }
  get left(): number {
    return this.#bytes.length - this.#at;
  }
  /** Goes over `length` bytes: where they begin. */
  skip(length: number): number {
    if (length > this.left) throw new TortieError(`Cannot read ${length} bytes: ${this.left} are left`);
    const at = this.#at;
    this.#at += length;
    return at;
  }
  copy(length: number): Uint8Array<ArrayBuffer> {
    const at = this.skip(length);
    const out = new Uint8Array(new ArrayBuffer(length));
    out.set(this.#bytes.subarray(at, at + length));
    return out;
  }
}

// take() may replace the view: it is called first.
export const u8: Form<number> = {
  write: (to, value) => {
    const at = to.take(1);
    to.view.setUint8(at, value);
  },
  read: (from) => from.view.getUint8(from.skip(1)),
};
export const u32: Form<number> = {
  write: (to, value) => {
    const at = to.take(4);
    to.view.setUint32(at, value, true);
  },
  read: (from) => from.view.getUint32(from.skip(4), true),
};
export const i32: Form<number> = {
  write: (to, value) => {
    const at = to.take(4);
    to.view.setInt32(at, value, true);
  },
  read: (from) => from.view.getInt32(from.skip(4), true),
};
export const f64: Form<number> = {
  write: (to, value) => {
    const at = to.take(8);
    to.view.setFloat64(at, value, true);
  },
  read: (from) => from.view.getFloat64(from.skip(8), true),
};
export const bool: Form<boolean> = { write: (to, value) => u8.write(to, value ? 1 : 0), read: (from) => u8.read(from) !== 0 };

/** So many bytes. */
export const bytes = (length: number): Form<Uint8Array> => ({
  write(to, value) {
    if (value.length !== length) throw new RangeError(`Cannot write ${value.length} bytes as ${length}`);
    to.put(value);
  },
  read: (from) => from.copy(length),
});
/** Any number of bytes, after that number. */
export const blob: Form<Uint8Array> = {
  write(to, value) {
    u32.write(to, value.length);
    to.put(value);
  },
  read: (from) => from.copy(u32.read(from)),
};
export const text: Form<string> = { write: (to, value) => blob.write(to, utf8(value)), read: (from) => fromUtf8(blob.read(from)) };

export const list = <T>(item: Form<T>): Form<readonly T[]> => ({
  write(to, values) {
    u32.write(to, values.length);
    for (const value of values) item.write(to, value);
  },
  read(from) {
    const count = u32.read(from);
    // Every item takes a byte at least: a wild count ends here.
    if (count > from.left) throw new TortieError(`Cannot read ${count} items: ${from.left} bytes are left`);
    return Array.from({ length: count }, () => item.read(from));
  },
});
export const optional = <T>(form: Form<T>): Form<T | undefined> => ({
  write(to, value) {
    bool.write(to, value !== undefined);
    if (value !== undefined) form.write(to, value);
  },
  read: (from) => (bool.read(from) ? form.read(from) : undefined),
});
/** The fields one after the other, in the order in which they are named. */
export const record = <T extends object>(fields: { readonly [K in keyof T]-?: Form<T[K]> }): Form<T> => {
  const names = Object.keys(fields) as (keyof T)[];
  return {
    write(to, value) {
      for (const name of names) fields[name].write(to, value[name]);
    },
    read(from) {
      const out: Partial<T> = {};
      for (const name of names) out[name] = fields[name].read(from);
      return out as T;
    },
  };
};
