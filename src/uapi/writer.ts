// Key=value lines into one buffer that is used again and again, straight as ASCII: 100,000 allowed IPs are shown without a string each. Keys become hex in
// the buffer: no string ever holds one, and it is wiped before it is used again.
import { utf8 } from "../base/bytes.ts";
import type { Cidr } from "../base/cidr.ts";

const CAPACITY = 65_536;
/** More than any one line takes. */
const RESERVE = 2048;
const [NEWLINE, MINUS, DOT, SLASH, COLON] = [10, 45, 46, 47, 58];

const hexDigit = (v: number): number => 87 + v + (((v - 10) >> 8) & ~38);

/** The name of a line, with its "=". */
export const field = (name: string): Uint8Array => utf8(`${name}=`);

/** Collects lines; full() tells when to take() a chunk. */
export class LineWriter {
  #chunk: Uint8Array<ArrayBuffer> = new Uint8Array(CAPACITY);
  #at = 0;

  text(line: string): void {
    this.#bytes(utf8(line));
    this.#end();
  }

  /** A whole line, with its newline. */
  line(bytes: Uint8Array): void {
    this.#bytes(bytes);
  }

  /** `name=HEX` */
  key(name: Uint8Array, key: Uint8Array): void {
    this.#bytes(name);
    for (let i = 0; i < key.length; i++) {
      this.#chunk[this.#at++] = hexDigit(key[i]! >> 4);
      this.#chunk[this.#at++] = hexDigit(key[i]! & 15);
    }
    this.#end();
  }

  /** `name=DECIMAL` */
  number(name: Uint8Array, n: number | bigint): void {
    this.#bytes(name);
    if (typeof n === "number" && n < 2 ** 31) this.#decimal(n);
    else this.#bytes(utf8(String(n)));
    this.#end();
  }

  /** `name=ADDRESS/LENGTH`, or `name=-ADDRESS/LENGTH`. */
  prefix(name: Uint8Array, { ip, prefix }: Cidr, minus: boolean): void {
    this.#bytes(name);
    if (minus) this.#chunk[this.#at++] = MINUS;
    if (ip.length === 4) this.#dotted(ip, 0);
    else this.#address6(ip);
    this.#chunk[this.#at++] = SLASH;
    this.#decimal(prefix);
    this.#end();
  }

  /** True when a chunk's worth has gathered. */
  full(): boolean {
    return this.#at >= CAPACITY - RESERVE;
  }

  /** What has gathered. The buffer's own bytes: copy or send them, then clear(). */
  take(): Uint8Array<ArrayBuffer> {
    return this.#chunk.subarray(0, this.#at);
  }

  /** Wipes what was taken. */
  clear(): void {
    this.#chunk.fill(0, 0, this.#at);
    this.#at = 0;
  }

  #bytes(bytes: Uint8Array): void {
    if (this.#at + bytes.length + RESERVE > this.#chunk.length) this.#grow(bytes.length);
    this.#chunk.set(bytes, this.#at);
    this.#at += bytes.length;
  }
  #end(): void {
    this.#chunk[this.#at++] = NEWLINE;
  }

  #decimal(n: number): void {
    let digits = 1;
    for (let power = 10; n >= power; power *= 10) digits++;
    for (let i = this.#at + digits - 1, rest = n; i >= this.#at; i--) {
      const next = Math.floor(rest / 10);
      this.#chunk[i] = 48 + rest - 10 * next;
      rest = next;
    }
    this.#at += digits;
  }

  #dotted(ip: Uint8Array, from: number): void {
    for (let i = 0; i < 4; i++) {
      if (i > 0) this.#chunk[this.#at++] = DOT;
      this.#decimal(ip[from + i]!);
    }
  }

  // RFC 5952, as formatIp() of src/base/ip.ts.
  #address6(ip: Uint8Array): void {
    const group = (i: number): number => (ip[2 * i]! << 8) | ip[2 * i + 1]!;
    let [start, length] = [8, 1];
    for (let i = 0; i < 8; i++) {
      let n = 0;
      while (i + n < 8 && group(i + n) === 0) n++;
      if (n > length) [start, length] = [i, n];
    }
    const mapped = start === 0 && length === 5 && group(5) === 0xffff;
    for (let i = 0; i < (mapped ? 6 : 8); i++) {
      if (i === start) {
        this.#chunk[this.#at++] = COLON;
        i += length - 1;
        if (i === 7) this.#chunk[this.#at++] = COLON;
        continue;
      }
      if (i > 0) this.#chunk[this.#at++] = COLON;
      const g = group(i);
      for (let shift = g > 0xfff ? 12 : g > 0xff ? 8 : g > 0xf ? 4 : 0; shift >= 0; shift -= 4) this.#chunk[this.#at++] = hexDigit((g >> shift) & 15);
    }
    if (!mapped) return;
    this.#chunk[this.#at++] = COLON;
    this.#dotted(ip, 12);
  }

  // Only a caller that never takes gets here.
  #grow(n: number): void {
    const larger = new Uint8Array(2 * this.#chunk.length + n + RESERVE);
    larger.set(this.#chunk);
    this.#chunk.fill(0);
    this.#chunk = larger;
  }
}
