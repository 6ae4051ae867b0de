// ChaCha20 and Poly1305 by themselves, as packets-direct.ts calls them, as chacha.wat computes them, and noble's: RFC 8439's numbers. And the same primitives put together with additional
// data and any nonce, which our packets never have, so that all of Wycheproof's cases go over these ways too.
import { chacha20 } from "@noble/ciphers/chacha.js";
import { poly1305 } from "@noble/ciphers/_poly1305.js";
import { describe, expect, test } from "vitest";
import { fromHex, toHex } from "../base/bytes.ts";
import { address, bindOptional } from "../sys/ffi.ts";
import { loadChacha, SCRATCH, WHOLE } from "./chacha.ts";
import { CHACHA20, POLY1305 } from "./rfc8439.cases.ts";
import { type AeadGroup, describeWycheproof, wycheproof } from "./wycheproof.cases.ts";

type Primitives = {
  chacha20(key: Uint8Array, nonce: Uint8Array, counter: number, data: Uint8Array): Uint8Array;
  poly1305(key: Uint8Array, message: Uint8Array): Uint8Array;
};
const hex = (text: string): Uint8Array<ArrayBuffer> => fromHex(text)!;

const chacha = bindOptional("void ChaCha20_ctr32(uintptr_t out, uintptr_t in, size_t length, uintptr_t key, uintptr_t counter)");
const polyInit = bindOptional("void Poly1305_Init(uintptr_t ctx, uintptr_t key)");
const polyUpdate = bindOptional("void Poly1305_Update(uintptr_t ctx, uintptr_t in, size_t length)");
const polyFinal = bindOptional("void Poly1305_Final(uintptr_t ctx, uintptr_t mac)");

function direct(): Primitives | undefined {
  if (!chacha || !polyInit || !polyUpdate || !polyFinal) return undefined;
  const memory = new Uint8Array(new ArrayBuffer(8192));
  const at = address(memory);
  const [COUNTER, KEY, OUT, CONTEXT, DATA] = [0, 16, 64, 512, 1024];
  return {
    chacha20(key, nonce, counter, data) {
      new DataView(memory.buffer).setUint32(COUNTER, counter, true);
      memory.set(nonce, COUNTER + 4);
      memory.set(key, KEY);
      memory.set(data, DATA);
      chacha(at + DATA, at + DATA, data.length, at + KEY, at + COUNTER);
      return memory.slice(DATA, DATA + data.length);
    },
    poly1305(key, message) {
      memory.set(key, KEY);
      memory.set(message, DATA);
      polyInit(at + CONTEXT, at + KEY);
      polyUpdate(at + CONTEXT, at + DATA, message.length);
      polyFinal(at + CONTEXT, at + OUT);
      return memory.slice(OUT, OUT + 16);
    },
  };
}

function webAssembly(): Primitives {
  const wasm = new WebAssembly.Memory<ArrayBuffer>({ initial: 2 });
  const chacha = loadChacha(wasm);
  const memory = new Uint8Array(wasm.buffer);
  const [COUNTER, KEY, OUT, DATA] = [SCRATCH, SCRATCH + 16, SCRATCH + 64, SCRATCH + 128];
  return {
    chacha20(key, nonce, counter, data) {
      new DataView(wasm.buffer).setUint32(COUNTER, counter, true);
      memory.set(nonce, COUNTER + 4);
      memory.set(key, KEY);
      chacha.stream(KEY, COUNTER, DATA, DATA + data.length);
      return memory.slice(DATA, DATA + data.length).map((b, i) => b ^ data[i]!);
    },
    poly1305(key, message) {
      const cut = message.length & 15;
      memory.set(key, KEY);
      memory.set(message, DATA);
      memory.fill(0, DATA + message.length, DATA + message.length + 16);
      memory[DATA + message.length] = 1;
      chacha.begin(KEY);
      chacha.blocks(DATA, message.length >> 4, WHOLE);
      if (cut > 0) chacha.blocks(DATA + message.length - cut, 1, 0);
      chacha.tag(KEY, OUT);
      return memory.slice(OUT, OUT + 16);
    },
  };
}

const noble: Primitives = {
  chacha20: (key, nonce, counter, data) => chacha20(key, nonce, data, undefined, counter),
  poly1305: (key, message) => poly1305(message, key),
};

/** RFC 8439 section 2.8, word for word. */
function seal(p: Primitives, a: { key: Uint8Array; nonce: Uint8Array; aad: Uint8Array; plain: Uint8Array }): string {
  const padded = (n: number): number => Math.ceil(n / 16) * 16;
  const oneTimeKey = p.chacha20(a.key, a.nonce, 0, new Uint8Array(32));
  const sealed = p.chacha20(a.key, a.nonce, 1, a.plain);
  const input = new Uint8Array(padded(a.aad.length) + padded(sealed.length) + 16);
  input.set(a.aad);
  input.set(sealed, padded(a.aad.length));
  const lengths = new DataView(input.buffer, input.length - 16);
  lengths.setUint32(0, a.aad.length, true);
  lengths.setUint32(8, sealed.length, true);
  return toHex(sealed) + toHex(p.poly1305(oneTimeKey, input));
}

for (const [name, primitives] of [
  ["OpenSSL's internal functions", direct()],
  ["WebAssembly", webAssembly()],
  ["noble", noble],
] as const) {
  const p = primitives!;
  describe.skipIf(!primitives)(name, () => {
    test.for(CHACHA20)("ChaCha20, RFC 8439 $name", (v) => {
      expect(toHex(p.chacha20(hex(v.key), hex(v.nonce), v.counter, hex(v.plain)))).toBe(v.out);
    });
    test.for(POLY1305)("Poly1305, RFC 8439 $name", (v) => {
      expect(toHex(p.poly1305(hex(v.key), hex(v.message)))).toBe(v.tag);
    });
    describeWycheproof("Wycheproof", () => {
      test("chacha20_poly1305 put together from the two, with additional data", () => {
        let count = 0;
        for (const { ivSize, tests } of wycheproof<AeadGroup>("chacha20_poly1305"))
          for (const t of tests.filter(() => ivSize === 96)) {
            const sealed = seal(p, { key: hex(t.key), nonce: hex(t.iv), aad: hex(t.aad), plain: hex(t.msg) });
            if (t.result === "valid") expect(sealed, `test ${t.tcId}`).toBe(t.ct + t.tag);
            else expect(sealed, `test ${t.tcId}`).not.toBe(t.ct + t.tag);
            count++;
          }
        expect(count).toBe(316);
      });
    });
  });
}
