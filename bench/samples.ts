// What kind of work a sampled stack was at.

export type Frame = { readonly symbol: string; readonly object: string };

/** Of a function in the process itself, by the object it is in and its name; the first that fits. */
const KINDS: readonly (readonly [object: RegExp, symbol: RegExp, kind: string])[] = [
  [/./, /chacha|poly1305/i, "cryptography: packets"],
  [/./, /x25519|fe51_|fe64_|^fe_|^ge_|^cmov|curve25519|blake2/i, "cryptography: handshakes"],
  [/JIT|\.map$/, /wasm/i, "WebAssembly"],
  [/JIT|\.map$/, /^(Builtin|BytecodeHandler|Stub)/, "V8's builtins"],
  [/JIT|\.map$/, /./, "JavaScript"],
  [/koffi/, /./, "foreign calls"],
  [/node/, /napi|v8impl|CallApiCallback|FunctionCallback|v8::(Value|Number|Object|String|Local|Context|HandleScope|TryCatch)/, "foreign calls"],
  [/node/, /Scaveng|MarkCompact|Sweep|Heap::|Marking|GarbageCollect/, "garbage collection"],
  [/node/, /^Builtins_/, "V8's builtins"],
  [/node/, /./, "Node and V8"],
  [/wireguard-go/, /^runtime\.|futex/, "Go's runtime"],
  [/wireguard-go/, /checksum/i, "checksums"],
  [/wireguard-go/, /./, "Go"],
  [/vdso/, /./, "clock"],
  [/lib(c|pthread)[.-]/, /./, "libc"],
];

/** Some entries of the kernel leave no frame of their own, only that of what does their work. */
const call = (frames: readonly Frame[]): string | undefined => {
  for (const { symbol } of frames) {
    const m = /^(?:(?:__(?:x64|arm64)_sys|ksys|__sys)_(\w+)|do_(readv|writev|epoll_wait|futex))$/.exec(symbol);
    if (m) return m[1] ?? m[2];
  }
  return undefined;
};

/** `frames` from the leaf up. The kernel's time counts for the system call it is in; what a call set off in passing (softirqs: a veth's other end) apart. */
export function kindOf(frames: readonly Frame[]): { kind: string; leaf: string } {
  const leaf = frames[0] ?? { symbol: "?", object: "?" };
  const name = leaf.symbol.replace(/ file:.*\/dist\//, " ").replace(/^(JS|Function):[*^~]?/, "");
  if (!leaf.object.startsWith("[kernel")) {
    const kind = KINDS.find(([object, symbol]) => object.test(leaf.object) && symbol.test(leaf.symbol))?.[2] ?? leaf.object;
    const where = /JIT|\.map$/.test(leaf.object) ? kind : leaf.object.split("/").at(-1)!;
    return { kind, leaf: `${name} (${where})` };
  }
  const inCall = call(frames);
  const passing = frames.some((f) => f.symbol === "handle_softirqs" || f.symbol === "__do_softirq");
  if (inCall === undefined) return { kind: "kernel: interrupts and faults", leaf: `${name} (kernel)` };
  return { kind: `kernel: ${inCall}${passing ? ", softirqs in it" : ""}`, leaf: `${name} (kernel)` };
}
