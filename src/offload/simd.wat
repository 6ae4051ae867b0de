;; What of the packet path is worth WebAssembly: sums and moves over the shared memory. simd.ts says what each function promises; simd.wasm.ts has the
;; bytes (npx tsx tools/wat.ts). Addresses and lengths are unsigned bytes; nothing is read or written outside the named ranges.
(module
  (import "env" "memory" (memory 0 65536 shared))

  ;; One's complement sum of little-endian 16-bit words, folded to 16 bits (RFC 1071: the order of bytes does not matter as long as the result is stored
  ;; in the same order). Eight words at a time: pmaddwd adds pairs of *signed* words, so each word is made signed by flipping its top bit, which takes
  ;; 0x8000 from it; 8 x 0x8000 = 2^18 per vector are given back at the end.
  (func $sum (export "sum") (param $at i32) (param $length i32) (result i32)
    (local $end i32) (local $n i32) (local $a v128) (local $b v128) (local $flip v128) (local $ones v128) (local $word i64)
    (local.set $flip (v128.const i16x8 0x8000 0x8000 0x8000 0x8000 0x8000 0x8000 0x8000 0x8000))
    (local.set $ones (v128.const i16x8 1 1 1 1 1 1 1 1))
    (local.set $n (i32.shl (i32.shr_u (local.get $length) (i32.const 4)) (i32.const 18)))
    (local.set $end (i32.add (local.get $at) (i32.and (local.get $length) (i32.const -64))))
    (block $done
      (br_if $done (i32.eq (local.get $at) (local.get $end)))
      (loop $more
        (local.set $a (i32x4.add (local.get $a)
          (i32x4.dot_i16x8_s (v128.xor (v128.load (local.get $at)) (local.get $flip)) (local.get $ones))))
        (local.set $b (i32x4.add (local.get $b)
          (i32x4.dot_i16x8_s (v128.xor (v128.load offset=16 (local.get $at)) (local.get $flip)) (local.get $ones))))
        (local.set $a (i32x4.add (local.get $a)
          (i32x4.dot_i16x8_s (v128.xor (v128.load offset=32 (local.get $at)) (local.get $flip)) (local.get $ones))))
        (local.set $b (i32x4.add (local.get $b)
          (i32x4.dot_i16x8_s (v128.xor (v128.load offset=48 (local.get $at)) (local.get $flip)) (local.get $ones))))
        (br_if $more (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 64))) (local.get $end)))))
    (local.set $a (i32x4.add (local.get $a) (local.get $b)))
    (local.set $end (i32.add (local.get $at) (i32.and (local.get $length) (i32.const 48))))
    (block $done
      (br_if $done (i32.eq (local.get $at) (local.get $end)))
      (loop $more
        (local.set $a (i32x4.add (local.get $a)
          (i32x4.dot_i16x8_s (v128.xor (v128.load (local.get $at)) (local.get $flip)) (local.get $ones))))
        (br_if $more (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 16))) (local.get $end)))))
    (local.set $n (i32.add (local.get $n) (i32.add
      (i32.add (i32x4.extract_lane 0 (local.get $a)) (i32x4.extract_lane 1 (local.get $a)))
      (i32.add (i32x4.extract_lane 2 (local.get $a)) (i32x4.extract_lane 3 (local.get $a))))))
    ;; The last 15 bytes and fewer.
    (local.set $n (i32.add (i32.and (local.get $n) (i32.const 0xffff)) (i32.shr_u (local.get $n) (i32.const 16))))
    (if (i32.and (local.get $length) (i32.const 8)) (then
      (local.set $word (i64.load (local.get $at)))
      (local.set $word (i64.add
        (i64.and (local.get $word) (i64.const 0x0000ffff0000ffff))
        (i64.and (i64.shr_u (local.get $word) (i64.const 16)) (i64.const 0x0000ffff0000ffff))))
      (local.set $n (i32.add (local.get $n) (i32.add
        (i32.wrap_i64 (local.get $word)) (i32.wrap_i64 (i64.shr_u (local.get $word) (i64.const 32))))))
      (local.set $at (i32.add (local.get $at) (i32.const 8)))))
    (if (i32.and (local.get $length) (i32.const 4)) (then
      (local.set $n (i32.add (local.get $n)
        (i32.add (i32.load16_u (local.get $at)) (i32.load16_u offset=2 (local.get $at)))))
      (local.set $at (i32.add (local.get $at) (i32.const 4)))))
    (if (i32.and (local.get $length) (i32.const 2)) (then
      (local.set $n (i32.add (local.get $n) (i32.load16_u (local.get $at))))
      (local.set $at (i32.add (local.get $at) (i32.const 2)))))
    (if (i32.and (local.get $length) (i32.const 1)) (then
      (local.set $n (i32.add (local.get $n) (i32.load8_u (local.get $at))))))
    (local.set $n (i32.add (i32.and (local.get $n) (i32.const 0xffff)) (i32.shr_u (local.get $n) (i32.const 16))))
    (i32.add (i32.and (local.get $n) (i32.const 0xffff)) (i32.shr_u (local.get $n) (i32.const 16))))

  (func $copy (export "copy") (param $to i32) (param $from i32) (param $length i32)
    (memory.copy (local.get $to) (local.get $from) (local.get $length)))

  (func $zero (export "zero") (param $at i32) (param $length i32)
    (memory.fill (local.get $at) (i32.const 0) (local.get $length)))

  (func $equal16 (export "equal16") (param $a i32) (param $b i32) (result i32)
    (i32.eqz (v128.any_true (v128.xor (v128.load (local.get $a)) (v128.load (local.get $b))))))
)
