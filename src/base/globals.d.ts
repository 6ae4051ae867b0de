// What every JavaScript engine we run in has, though lib.es2023 does not name it: the pure folders see no Node and no DOM types.
declare class TextEncoder {
  encode(input?: string): Uint8Array<ArrayBuffer>;
}
declare class TextDecoder {
  constructor(label?: string, options?: { fatal?: boolean });
  decode(input?: Uint8Array): string;
}
