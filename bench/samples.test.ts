import { expect, test } from "vitest";
import { kindOf } from "./samples.ts";

const KERNEL = "[kernel.kallsyms]";
const stack = (object: string, ...symbols: string[]): { symbol: string; object: string }[] => symbols.map((symbol) => ({ symbol, object }));

test("a sampled stack is of the kind of work it was at", () => {
  const cases = [
    [stack(KERNEL, "tun_do_read", "vfs_read", "ksys_read", "do_syscall_64"), "kernel: read"],
    [stack(KERNEL, "tun_get_user", "vfs_writev", "do_writev", "do_syscall_64"), "kernel: writev"],
    [stack(KERNEL, "ip_rcv", "handle_softirqs", "__dev_queue_xmit", "__sys_sendmmsg", "__x64_sys_sendmmsg"), "kernel: sendmmsg, softirqs in it"],
    [stack(KERNEL, "asm_sysvec_apic_timer_interrupt"), "kernel: interrupts and faults"],
    [stack("/usr/bin/node", "ChaCha20_16x", "napi_call"), "cryptography: packets"],
    [stack("/usr/bin/node", "x25519_fe64_mul"), "cryptography: handshakes"],
    [stack("/usr/bin/node", "napi_get_value_int64"), "foreign calls"],
    [stack("/x/koffi.node", "[unknown]"), "foreign calls"],
    [stack("/usr/bin/node", "v8::internal::Scavenger::Process"), "garbage collection"],
    [stack("/usr/bin/node", "Builtins_LoadIC"), "V8's builtins"],
    [stack("/tmp/perf-1.map", "JS:*send file:///x/dist/wireguard/data.js:1:1"), "JavaScript"],
    [stack("[JIT] tid 1", "wasm-function[0]-0-turbofan"), "WebAssembly"],
    [stack("/usr/bin/wireguard-go", "[unknown]"), "Go"],
  ] as const;
  for (const [frames, kind] of cases) expect([frames[0]!.symbol, kindOf(frames).kind]).toEqual([frames[0]!.symbol, kind]);
});

test("a function of ours is named by its place in the build", () => {
  expect(kindOf(stack("/tmp/perf-1.map", "JS:*send file:///x/dist/wireguard/data.js:1:1")).leaf).toBe("send wireguard/data.js:1:1 (JavaScript)");
});
