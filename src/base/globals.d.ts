// What every JavaScript engine we run in has, though lib.es2023 does not name it: the pure folders see no Node and no DOM types.
declare class TextEncoder {
  encode(input?: string): Uint8Array<ArrayBuffer>;
}
declare class TextDecoder {
  constructor(label?: string, options?: { fatal?: boolean; ignoreBOM?: boolean });
  decode(input?: Uint8Array): string;
}
declare namespace WebAssembly {
  class Memory<Buffer extends ArrayBufferLike = SharedArrayBuffer> {
    constructor(descriptor: Buffer extends ArrayBuffer ? { initial: number } : { initial: number; maximum: number; shared: true });
    readonly buffer: Buffer;
  }
  class Module {
    constructor(bytes: Uint8Array<ArrayBuffer>);
  }
  class Instance<Exports> {
    constructor(module: Module, imports?: Readonly<Record<string, Readonly<Record<string, Memory<ArrayBufferLike>>>>>);
    readonly exports: Exports;
  }
  class RuntimeError extends Error {}
  class CompileError extends Error {}
}
