// What a sampled stack of the API server was at.
import type { Frame } from "../samples.ts";

/** The first that fits, by the frame itself, from the leaf up: what a function calls counts for it where it has no kind of its own. */
const KINDS: readonly (readonly [object: RegExp, symbol: RegExp, kind: string])[] = [
  [/\/lmdb|node\.abi[^/]*\.node/i, /./, "store"],
  [/\[kernel/, /fdatasync|fsync|pwrite|pwritev|ext4_sync/, "store"],
  [/\[kernel/, /^(tcp_|unix_stream_|sock_|__sock_|inet_|ip_|skb_|__skb_)/, "sockets in the kernel"],
  [
    /node/,
    /v8::internal::(compiler|maglev|baseline|interpreter|parsing)::|v8::internal::(Parser|Compiler|OptimizedCompilationJob|Turb)/,
    "compiling",
  ],
  [/node/, /JsonParser|JsonStringif|JSON|Json/, "JSON"],
  [/./, /JsonParse|JsonStringify|JSON/, "JSON"],
  [
    /node/,
    /TLSWrap|^(SSL|EVP|ssl3|tls|tls1|tls13|ossl|BIO|CRYPTO|gcm|aes|AES|ChaCha20|poly1305|sha|SHA|OPENSSL|WPACKET|vaes|aesni|asn1|ASN1|x509|X509|bn_|BN_|ecp|EC_)/,
    "TLS",
  ],
  [/node/, /llhttp/, "HTTP"],
  [/JIT|\.map$/, /_http_|node:_http|internal\/http/, "HTTP"],
  [/JIT|\.map$/, /_tls_wrap|node:tls/, "TLS"],
  [/JIT|\.map$/, / (dist\/)?store\/|\/store\//, "store"],
  [/JIT|\.map$/, /identity\/audit/, "audit log"],
  [/JIT|\.map$/, /\/api\/json\.js/, "JSON"],
  [/JIT|\.map$/, /apiserver|\/api\//, "API"],
  [/node/, /Scaveng|MarkCompact|Sweep|Heap::|Marking|GarbageCollect|Evacuat/, "garbage collection"],
];
const REST = "the rest: Node, V8 and kernel";

/** `frames` from the leaf up. */
export function workOf(frames: readonly Frame[]): string {
  for (const { symbol, object } of frames) {
    const found = KINDS.find(([o, s]) => o.test(object) && s.test(symbol));
    if (found) return found[2];
  }
  return REST;
}
