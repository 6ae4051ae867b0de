// What every implementation of the crypto interfaces must do: published vectors (test/vectors/README.md says whose), and the contracts of src/wireguard.
import { blake2s } from "@noble/hashes/blake2.js";
import { chacha20 } from "@noble/ciphers/chacha.js";
import { describe, expect, test } from "vitest";
import { concat, equal, fromHex, toHex, utf8 } from "../base/bytes.ts";
import type { Crypto, PacketCrypto } from "../wireguard/crypto.ts";
import { noblePackets } from "./noble.ts";
import { AEAD } from "./rfc8439.cases.ts";
import { type AeadGroup, type CurveGroup, describeWycheproof, wycheproof } from "./wycheproof.cases.ts";

/** Key, nonce, text, additional data. */
type Four = [Uint8Array, Uint8Array, Uint8Array, Uint8Array];

const hex = (text: string): Uint8Array<ArrayBuffer> => fromHex(text)!;
const bytes = (n: number): Uint8Array<ArrayBuffer> => new Uint8Array(n).map((_, i) => i);

/** The implementation's primitives. */
export function cryptoCases(crypto: Crypto): void {
  describe("Crypto", () => {
    test("BLAKE2s-256 (RFC 7693 appendix B), in parts too", () => {
      const abc = "508c5e8c327c14e2e1a72ba34eeb452f37458b209ed63a294d999b4c86675982";
      expect(toHex(crypto.hash(utf8("abc")))).toBe(abc);
      expect(toHex(crypto.hash(utf8("a"), utf8(""), utf8("bc")))).toBe(abc);
    });
    test.for([
      [16, 0, "af4e5d3bb230e9ff9096ca6f7c501f76"],
      [16, 1, "881e42e7bb358082637c0a0fd7ec6c2f"],
      [16, 63, "2151a1ac11ef2763a427614c612b3de0"],
      [16, 64, "dd55c51c98f8ab96ed272882941f0b6a"],
      [16, 65, "9018c671bb7e94a6d540a91765bbecad"],
      [16, 116, "b9b1bbba1b59e4349d1018f97d243fca"],
      [16, 255, "b2953795123bd6b890ef3b6fa8b9bae2"],
      [32, 0, "9536f9b267655743dee97b8a670f9f53"],
      [32, 1, "13bacfb85b48a1223c595f8c1e7e82cb"],
      [32, 63, "ece382a8bd5018f1de5da44b72cea75b"],
      [32, 64, "f1efa90d2547036841ecd3627fafbc36"],
      [32, 65, "811ff8686d23a435ecbd0bdafcd27b1b"],
      [32, 116, "072e94ffbfc684bd8ab2a1b9dade2fd5"],
      [32, 255, "cd075928ab7e6883e697fe7fd3ac43ee"],
    ] as const)("keyed BLAKE2s, key of %i, message of %i bytes", ([key, length, want]) => {
      expect(toHex(crypto.mac(bytes(key), bytes(length)))).toBe(want);
      expect(toHex(crypto.mac(bytes(key), bytes(length).subarray(0, 40), bytes(length).subarray(40)))).toBe(want);
    });
    test("BLAKE2s's self-test (RFC 7693 appendix E); what we do not use of it is noble's", () => {
      const sequence = (length: number, seed: number): Uint8Array => {
        let [a, b] = [Math.imul(0xdead4bad, seed) >>> 0, 1];
        return new Uint8Array(length).map(() => {
          [a, b] = [b, (a + b) >>> 0];
          return b >>> 24;
        });
      };
      const digests: Uint8Array[] = [];
      for (const size of [16, 20, 28, 32])
        for (const length of [0, 3, 64, 65, 255, 1024]) {
          const [message, key] = [sequence(length, length), sequence(size, size)];
          digests.push(size === 32 ? crypto.hash(message) : blake2s(message, { dkLen: size }));
          digests.push(size === 16 ? crypto.mac(key, message) : blake2s(message, { dkLen: size, key }));
        }
      expect(toHex(crypto.hash(...digests))).toBe("6a411f08ce25adcdfb02aba641451cec53c598b24f4fc787fbdc88797f4c1dfe");
    });
    test("HMAC is RFC 2104's, for keys of every length round the block", () => {
      const key = (n: number): Uint8Array => bytes(200).subarray(0, n);
      const pad = (k: Uint8Array, x: number): Uint8Array => new Uint8Array(64).map((_, i) => (k[i] ?? 0) ^ x);
      for (const n of [0, 1, 31, 32, 33, 63, 64, 65, 200]) {
        const k = n > 64 ? blake2s(key(n)) : key(n);
        const want = blake2s(concat(pad(k, 0x5c), blake2s(concat(pad(k, 0x36), utf8("message")))));
        expect(toHex(crypto.hmac(key(n), utf8("mess"), utf8("age"))), `key of ${n} bytes`).toBe(toHex(want));
      }
    });
    test("a long message has a mac too", () => {
      expect(crypto.mac(bytes(32), new Uint8Array(5000))).toHaveLength(16);
    });
    test.for([
      [
        "a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
        "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
        "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552",
      ],
      [
        "4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
        "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
        "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957",
      ],
    ] as const)("X25519 of %s (RFC 7748 section 5.2)", ([scalar, u, want]) => {
      expect(toHex(crypto.dh(hex(scalar), hex(u))!)).toBe(want);
    });
    test("X25519 iterated 1 and 1,000 times (RFC 7748 section 5.2)", () => {
      let k: Uint8Array = new Uint8Array(32);
      k[0] = 9;
      let u = k;
      for (let i = 1; i <= 1000; i++) {
        [k, u] = [crypto.dh(k, u)!, k];
        if (i === 1) expect(toHex(k)).toBe("422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079");
      }
      expect(toHex(k)).toBe("684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51");
    });
    test("X25519 public keys and shared secret (RFC 7748 section 6.1)", () => {
      const a = hex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a");
      const b = hex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb");
      expect(toHex(crypto.publicKey(a))).toBe("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
      expect(toHex(crypto.publicKey(b))).toBe("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f");
      expect(toHex(crypto.dh(a, crypto.publicKey(b))!)).toBe("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742");
    });
    test.for(AEAD)("AEAD: $name", (v) => {
      const x = v.nonce.length === 48;
      const seal = (...a: Four): Uint8Array => (x ? crypto.xseal(...a) : crypto.seal(...a));
      const open = (...a: Four): Uint8Array | undefined => (x ? crypto.xopen(...a) : crypto.open(...a));
      expect(toHex(seal(hex(v.key), hex(v.nonce), hex(v.plain), hex(v.aad)))).toBe(v.sealed);
      expect(toHex(open(hex(v.key), hex(v.nonce), hex(v.sealed), hex(v.aad))!)).toBe(v.plain);
    });
    describeWycheproof("Wycheproof", () => {
      test("x25519, all; a zero shared secret is a failure", () => {
        let count = 0;
        for (const { tests } of wycheproof<CurveGroup>("x25519"))
          for (const t of tests) {
            const shared = crypto.dh(hex(t.private), hex(t.public));
            expect(shared && toHex(shared), `test ${t.tcId}`).toBe(t.flags.includes("ZeroSharedSecret") ? undefined : t.shared);
            count++;
          }
        expect(count).toBe(518);
      });
      for (const [name, nonce, seal, open] of [
        ["chacha20_poly1305", 96, (...a: Four) => crypto.seal(...a), (...a: Four) => crypto.open(...a)],
        ["xchacha20_poly1305", 192, (...a: Four) => crypto.xseal(...a), (...a: Four) => crypto.xopen(...a)],
      ] as const)
        test(`${name}: all with our length of nonce`, () => {
          let count = 0;
          for (const { ivSize, tests } of wycheproof<AeadGroup>(name)) {
            if (ivSize !== nonce) continue;
            for (const t of tests) {
              const sealed = hex(t.ct + t.tag);
              const opened = open(hex(t.key), hex(t.iv), sealed, hex(t.aad));
              if (t.result === "valid") {
                expect(toHex(seal(hex(t.key), hex(t.iv), hex(t.msg), hex(t.aad))), `test ${t.tcId}`).toBe(t.ct + t.tag);
                expect(opened && toHex(opened), `test ${t.tcId}`).toBe(t.msg);
              } else expect(opened, `test ${t.tcId}`).toBeUndefined();
              count++;
            }
          }
          expect(count).toBeGreaterThan(300);
        });
    });
    test("open() refuses what is shorter than a tag", () => {
      for (let n = 0; n < 16; n++) {
        expect(crypto.open(bytes(32), bytes(12), bytes(n), bytes(0))).toBeUndefined();
        expect(crypto.xopen(bytes(32), bytes(24), bytes(n), bytes(0))).toBeUndefined();
      }
    });
    test("random() fills all of it", () => {
      const [a, b] = [new Uint8Array(64), new Uint8Array(64)];
      crypto.random(a);
      crypto.random(b);
      expect(a).not.toEqual(b);
      expect(a.subarray(32).some((x) => x !== 0)).toBe(true);
    });
    test("what is returned belongs to the caller", () => {
      const first = crypto.hash(utf8("abc"));
      const copy = first.slice();
      crypto.hash(utf8("abd")).fill(0);
      expect(first).toEqual(copy);
    });
    test("results are plain arrays, whose slice() is a copy (a Buffer's is not)", () => {
      const key = bytes(32);
      const nonce = bytes(12);
      const results = [
        crypto.hash(key),
        crypto.mac(key, key),
        crypto.hmac(key, key),
        crypto.publicKey(key),
        crypto.dh(key, crypto.publicKey(key))!,
        crypto.seal(key, nonce, key, nonce),
        crypto.open(key, nonce, crypto.seal(key, nonce, key, nonce), nonce)!,
        crypto.xseal(key, bytes(24), key, nonce),
        crypto.xopen(key, bytes(24), crypto.xseal(key, bytes(24), key, nonce), nonce)!,
      ];
      for (const [i, r] of results.entries()) {
        const before = toHex(r);
        r.slice().fill(0);
        expect(toHex(r), `result ${i}`).toBe(before);
      }
    });
  });
}

/** The implementation's packet functions; `make` is theirs. */
export function packetCases(make: (memory: ArrayBufferLike) => PacketCrypto): void {
  const KEY = 32;
  const COUNTER = 80;
  const FROM = 256;
  const BEFORE = 0xa5;
  /** Memory with a text at FROM, and room for a copy at `to`. */
  const place = (
    key: Uint8Array,
    counter: Uint8Array,
    text: Uint8Array,
  ): { crypto: PacketCrypto; u8: Uint8Array; lo: number; hi: number; to: number } => {
    const to = FROM + Math.ceil(text.length / 16) * 16 + 256;
    const u8 = new Uint8Array(new SharedArrayBuffer(to + text.length + 256)).fill(BEFORE);
    u8.set(key, KEY);
    u8.set(counter, COUNTER);
    u8.set(text, FROM);
    const view = new DataView(u8.buffer);
    return { crypto: make(u8.buffer), u8, lo: view.getUint32(COUNTER, true), hi: view.getUint32(COUNTER + 4, true), to };
  };
  const nobleSeals = (key: Uint8Array, counter: Uint8Array, text: Uint8Array): string => {
    const { u8, lo, hi, to } = place(key, counter, text);
    noblePackets(u8.buffer).seal(KEY, lo, hi, FROM, to, text.length);
    return toHex(u8.slice(to, to + text.length + 16));
  };
  const LENGTHS = [...Array.from({ length: 301 }, (_, i) => i), 1419, 1420, 9000, 65_535];

  describe("PacketCrypto", () => {
    describeWycheproof("Wycheproof", () => {
      test("keys and plaintexts, against noble; the ciphertexts too where the nonce begins with zeros", () => {
        let exact = 0;
        for (const { ivSize, tests } of wycheproof<AeadGroup>("chacha20_poly1305"))
          for (const t of tests.filter((x) => ivSize === 96 && x.result === "valid")) {
            const [key, counter, text] = [hex(t.key), hex(t.iv).subarray(4), hex(t.msg)];
            const { crypto, u8, lo, hi, to } = place(key, counter, text);
            crypto.seal(KEY, lo, hi, FROM, to, text.length);
            const sealed = toHex(u8.slice(to, to + text.length + 16));
            expect(sealed, `test ${t.tcId}`).toBe(nobleSeals(key, counter, text));
            // Additional data changes the tag alone.
            if (t.iv.startsWith("00000000")) {
              expect(sealed.slice(0, t.ct.length)).toBe(t.ct);
              exact++;
            }
          }
        expect(exact).toBe(10);
      });
    });
    test("every length up to 300 and some large ones: sealed as noble does, opened again, nothing outside touched", () => {
      const [key, counter] = [bytes(32), hex("fffffffffefffffe")];
      for (const length of LENGTHS) {
        const text = bytes(length);
        const { crypto, u8, lo, hi, to } = place(key, counter, text);
        const start = u8.slice();
        crypto.seal(KEY, lo, hi, FROM, to, length);
        const kept = (before: Uint8Array, from: number, end?: number): boolean => equal(u8.subarray(from, end), before.subarray(from, end));
        expect(kept(start, 0, FROM - 64), "before the headroom").toBe(true);
        expect(kept(start, FROM - 16, to - 64), "the last of the headroom, the text, and what is between").toBe(true);
        expect(kept(start, to + length + 32), "after the tailroom").toBe(true);
        if (length < 32 || length > 1000) expect(toHex(u8.slice(to, to + length + 16)), `${length} bytes`).toBe(nobleSeals(key, counter, text));

        u8.fill(BEFORE, FROM - 64, FROM + length + 16);
        u8.fill(0x5a, to + length + 16);
        const sealed = u8.slice();
        expect(crypto.open(KEY, COUNTER, to, FROM, length), `${length} bytes`).toBe(true);
        expect(toHex(u8.slice(FROM, FROM + length))).toBe(toHex(text));
        expect(kept(sealed, 0, FROM - 64)).toBe(true);
        expect(kept(sealed, FROM + length + 16, to - 64)).toBe(true);
        expect(kept(sealed, to - 16), "header, ciphertext, tag, and what follows").toBe(true);
      }
    });
    test("sealed in place it is the same", () => {
      for (const length of LENGTHS) {
        const apart = place(bytes(32), bytes(8), bytes(length));
        apart.crypto.seal(KEY, apart.lo, apart.hi, FROM, apart.to, length);
        const { crypto, u8, lo, hi } = place(bytes(32), bytes(8), bytes(length));
        crypto.seal(KEY, lo, hi, FROM, FROM, length);
        expect(toHex(u8.slice(FROM, FROM + length + 16)), `${length} bytes`).toBe(toHex(apart.u8.slice(apart.to, apart.to + length + 16)));
        expect(u8.subarray(FROM + length + 32).every((b) => b === BEFORE)).toBe(true);
      }
    });
    test("open() refuses a change of any bit of tag, ciphertext, counter and key, and leaves no plaintext", () => {
      for (const length of [40, 41]) {
        const { crypto, u8, lo, hi, to } = place(bytes(32), bytes(8), bytes(length));
        crypto.seal(KEY, lo, hi, FROM, to, length);
        const good = u8.slice();
        const places = [...Array.from({ length: length + 16 }, (_, i) => to + i), ...Array.from({ length: 8 }, (_, i) => COUNTER + i), KEY, KEY + 31];
        for (const at of places)
          for (let bit = 0; bit < 8; bit++) {
            u8.set(good);
            u8[at]! ^= 1 << bit;
            const damaged = u8.slice(to - 16);
            expect(crypto.open(KEY, COUNTER, to, FROM, length)).toBe(false);
            expect(u8.subarray(FROM, FROM + length).every((b) => b === 0)).toBe(true);
            expect(equal(u8.subarray(to - 16), damaged)).toBe(true);
          }
        u8.set(good);
        expect(crypto.open(KEY, COUNTER, to, FROM, length)).toBe(true);
      }
    });
    // Chance never meets these: the sum is below the modulus all but once in 2^126 times, and no limb is at its greatest.
    test("Poly1305's sum just below, at and above the modulus, and over blocks of ones", () => {
      const prime = (1n << 130n) - 5n;
      const mod = (n: bigint): bigint => ((n % prime) + prime) % prime;
      const power = (b: bigint, e: bigint): bigint => (e === 0n ? 1n : mod(power(mod(b * b), e >> 1n) * (e & 1n ? b : 1n)));
      const number = (b: Uint8Array): bigint => BigInt(`0x${toHex(b.slice().toReversed())}`);
      let count = 0;
      for (let i = 0; i < 40; i++) {
        const key = crypto.getRandomValues(new Uint8Array(32));
        const stream = chacha20(key, new Uint8Array(12), new Uint8Array(192));
        const inverse = power(number(stream.slice(0, 16)) & 0x0ffffffc0ffffffc0ffffffc0fffffffn, prime - 2n);
        const ciphertexts = [new Uint8Array(128).fill(0xff)];
        for (let sum = -6n; sum <= 6n; sum++) {
          // One block of ciphertext and that of the lengths: sum = ((block + 2^128) r + 2^128 + 16 * 2^64) r.
          const block = mod(mod(mod(sum) * inverse - (1n << 128n) - (16n << 64n)) * inverse - (1n << 128n));
          if (block < 1n << 128n) ciphertexts.push(hex(block.toString(16).padStart(32, "0")).toReversed());
        }
        for (const ciphertext of ciphertexts) {
          const text = ciphertext.map((b, k) => b ^ stream[64 + k]!);
          const { crypto: tested, u8, to } = place(key, new Uint8Array(8), text);
          tested.seal(KEY, 0, 0, FROM, to, text.length);
          expect(toHex(u8.slice(to, to + text.length))).toBe(toHex(ciphertext));
          expect(toHex(u8.slice(to, to + text.length + 16))).toBe(nobleSeals(key, new Uint8Array(8), text));
          expect(tested.open(KEY, COUNTER, to, FROM, text.length)).toBe(true);
          count++;
        }
      }
      expect(count).toBeGreaterThan(80);
    });
    test("nothing need be aligned: texts, headers, counters", () => {
      const { crypto, u8 } = place(bytes(32), bytes(8), bytes(700));
      const text = bytes(333);
      const right = nobleSeals(bytes(32), concat(new Uint8Array([5]), new Uint8Array(7)), text);
      for (let i = 0; i < 16; i++) {
        const [from, to, counter] = [200 + i, 640 + ((5 * i) & 15), 112 + ((3 * i) & 7)];
        u8.fill(BEFORE, from - 72, from);
        u8.set(text, from);
        crypto.seal(KEY, 5, 0, from, to, 333);
        expect(toHex(u8.slice(to, to + 333 + 16))).toBe(right);
        expect(u8.slice(from, from + 333)).toEqual(text);
        expect(u8.subarray(from - 72, from - 67).every((b) => b === BEFORE)).toBe(true);
        u8.set(concat(new Uint8Array([5]), new Uint8Array(7)), counter);
        expect(crypto.open(KEY, counter, to, from, 333)).toBe(true);
        expect(u8.slice(from, from + 333)).toEqual(text);
      }
    });
  });
}
