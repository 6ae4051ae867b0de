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

  ;; Bytes that differ between two vectors, but for those the mask leaves out.
  (func $differ (param $a i32) (param $b i32) (param $mask v128) (result i32)
    (v128.any_true (v128.and (local.get $mask) (v128.xor (v128.load (local.get $a)) (v128.load (local.get $b))))))

  ;; Of 16-byte pieces that overlap rather than reach beyond the headers: a UDP packet may end 29 bytes after its start, and the memory there.
  (func $alike (export "alike") (param $a i32) (param $b i32) (param $header i32) (result i32)
    (local $t i32) (local $end i32)
    (if (i32.eq (i32.load8_u (local.get $a)) (i32.const 0x45))
      (then
        ;; All but length, identification and checksum; then addresses, ports, and four bytes of the transport's.
        (if (call $differ (local.get $a) (local.get $b) (v128.const i32x4 0x0000ffff 0xffff0000 0x0000ffff 0xffffffff)) (then (return (i32.const 0))))
        (if (call $differ (i32.add (local.get $a) (i32.const 12)) (i32.add (local.get $b) (i32.const 12))
          (v128.const i32x4 -1 -1 -1 0)) (then (return (i32.const 0))))
        (local.set $t (i32.const 20)))
      (else
        ;; All but the payload length.
        (if (call $differ (local.get $a) (local.get $b) (v128.const i32x4 -1 0xffff0000 -1 -1)) (then (return (i32.const 0))))
        (if (call $differ (i32.add (local.get $a) (i32.const 16)) (i32.add (local.get $b) (i32.const 16))
          (v128.const i32x4 -1 -1 -1 -1)) (then (return (i32.const 0))))
        (if (call $differ (i32.add (local.get $a) (i32.const 32)) (i32.add (local.get $b) (i32.const 32))
          (v128.const i32x4 -1 -1 -1 0)) (then (return (i32.const 0))))
        (local.set $t (i32.const 40))))
    (local.set $end (i32.add (local.get $a) (local.get $header)))
    (local.set $a (i32.add (local.get $a) (local.get $t)))
    (local.set $b (i32.add (local.get $b) (local.get $t)))
    ;; A UDP header ends here.
    (if (i32.lt_u (i32.sub (local.get $end) (local.get $a)) (i32.const 20)) (then (return (i32.const 1))))
    ;; Acknowledgement, data offset, flags but PSH, window, urgent pointer; not sequence and checksum.
    (if (call $differ (i32.add (local.get $a) (i32.const 4)) (i32.add (local.get $b) (i32.const 4))
      (v128.const i32x4 0 -1 0xfffff7ff 0xffff0000)) (then (return (i32.const 0))))
    ;; Options.
    (local.set $a (i32.add (local.get $a) (i32.const 20)))
    (local.set $b (i32.add (local.get $b) (i32.const 20)))
    (block $done
      (loop $more
        (br_if $done (i32.ge_u (local.get $a) (local.get $end)))
        (if (i32.ne (i32.load (local.get $a)) (i32.load (local.get $b))) (then (return (i32.const 0))))
        (local.set $a (i32.add (local.get $a) (i32.const 4)))
        (local.set $b (i32.add (local.get $b) (i32.const 4)))
        (br $more)))
    (i32.const 1))

  ;; The addresses of the pseudo header end where the transport header starts: they are summed with it.
  (func $valid (export "valid") (param $at i32) (param $length i32) (result i32)
    (local $addresses i32) (local $transport i32) (local $protocol i32) (local $own i32) (local $sum i32)
    (if (i32.eq (i32.load8_u (local.get $at)) (i32.const 0x45))
      (then
        (if (i32.ne (call $sum (local.get $at) (i32.const 20)) (i32.const 0xffff)) (then (return (i32.const 0))))
        (local.set $addresses (i32.const 12))
        (local.set $transport (i32.const 20))
        (local.set $protocol (i32.load8_u offset=9 (local.get $at))))
      (else
        (local.set $addresses (i32.const 8))
        (local.set $transport (i32.const 40))
        (local.set $protocol (i32.load8_u offset=6 (local.get $at)))))
    (local.set $own (i32.sub (local.get $length) (local.get $transport)))
    ;; Protocol and length are big-endian words. The sum is not zero, so that folded it is 0xffff exactly when it is a multiple of that.
    (local.set $sum (i32.add
      (call $sum (i32.add (local.get $at) (local.get $addresses)) (i32.sub (local.get $length) (local.get $addresses)))
      (i32.add
        (i32.shl (local.get $protocol) (i32.const 8))
        (i32.or (i32.shl (i32.and (local.get $own) (i32.const 0xff)) (i32.const 8)) (i32.shr_u (local.get $own) (i32.const 8))))))
    (i32.eqz (i32.rem_u (local.get $sum) (i32.const 0xffff))))
)
