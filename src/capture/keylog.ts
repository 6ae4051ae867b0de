// Key logs in Wireshark's grammar (packet-wireguard.c; sections 2.1 and 2.2), plus what Wireshark does not know: session keys by receiver index
// (contrib/extract-keys' format and our WGX_SESSION_KEY lines), hex keys, bare keys as wg genkey writes them.
// Reading is more forgiving than Wireshark's, and says of each line that Wireshark would not take; writing is exact.
import { fromBase64, fromHex, toBase64, toHex } from "../base/bytes.ts";
import type { SecretsBlock } from "./packet.ts";
import { SECRETS_WIREGUARD } from "./packet.ts";

/** An ephemeral private key, 32 bytes. */
export type EphemeralEntry = {
  readonly privateKey: Uint8Array;
  /** Pre-shared keys written after this ephemeral, newest first (the order of trial). */
  readonly presharedKeys: Uint8Array[];
};
/** A key that stands in a file alone, without a name: what it is, is found out from the capture. */
export type BareKey = { readonly line: number; readonly key: Uint8Array };

/** What a key log holds; all keys have 32 bytes. Secret: it goes into no log and no error. */
export type KeyLog = {
  readonly staticPrivate: Uint8Array[];
  readonly staticPublic: Uint8Array[];
  readonly ephemerals: EphemeralEntry[];
  /** Opens packets whose receiver index is the key of the map, also without a handshake. */
  readonly sessionKeys: Map<number, Uint8Array[]>;
  /** Pre-shared keys that stand alone (two in a row, or before any ephemeral): Wireshark drops them, we try them last. */
  readonly loosePresharedKeys: Uint8Array[];
  readonly bare: BareKey[];
  readonly problems: KeyLogProblem[];
};
/** A line that Wireshark would not take (`ours: "taken"`), or that nobody can use (`"refused"`). The key itself is never part of it. */
export type KeyLogProblem = {
  readonly line: number;
  readonly ours: "taken" | "refused";
  readonly why: string;
  /** The kind of key that the line names. */
  readonly name?: KeyName;
};
/** The kinds of key that Wireshark knows. */
export type KeyName = (typeof NAMES)[number];

const NAMES = ["LOCAL_STATIC_PRIVATE_KEY", "REMOTE_STATIC_PUBLIC_KEY", "LOCAL_EPHEMERAL_PRIVATE_KEY", "PRESHARED_KEY"] as const;

/** wg(8)'s configuration: `wg showconf` output is a key file too. */
const WG_NAMES: Readonly<Record<string, KeyName>> = {
  privatekey: "LOCAL_STATIC_PRIVATE_KEY",
  publickey: "REMOTE_STATIC_PUBLIC_KEY",
  presharedkey: "PRESHARED_KEY",
};
const WG_OTHER = new Set(["listenport", "fwmark", "allowedips", "endpoint", "persistentkeepalive"]);

export const emptyKeyLog = (): KeyLog => ({
  staticPrivate: [],
  staticPublic: [],
  ephemerals: [],
  sessionKeys: new Map(),
  loosePresharedKeys: [],
  bare: [],
  problems: [],
});

/** Bounds what a hostile key block can cost: every ephemeral is a multiplication on the curve. A hundred peers make so many handshakes in a day. */
const MAX_KEYS = 65_536;

/** The heading that contrib/extract-handshakes writes before the four lines of a handshake. */
const HEADING = /^New handshake session:?$/i;

/** Parser of one log, or of several in a row (a pre-shared key belongs to the ephemeral before it, across blocks). */
export class KeyLogReader {
  log: KeyLog = emptyKeyLog();
  #last: EphemeralEntry | undefined;
  /** Under a heading: a pre-shared key that came before its ephemeral, as the script of bash 5 writes it. */
  #early: Uint8Array | undefined;
  #isGroup = false;
  #line = 0;
  #keys = 0;
  /** Static keys by their kind and text: a log repeats them with every handshake. */
  readonly #statics = new Set<string>();

  /** Takes whole text: blocks of one file may come one after the other. */
  add(text: string): void {
    for (const raw of text.split(/\r?\n/)) {
      this.#line++;
      if (raw.startsWith("\ufeff")) {
        this.#problem("taken", "a byte order mark, as Windows has it: Wireshark ignores this line, and where the file is UTF-16 all of them");
        this.#read(raw.slice(1));
      } else if (raw.length > 0) this.#read(raw);
    }
    if (text.endsWith("\n")) this.#line--;
    this.#endGroup();
  }

  /** Takes more text; the result is what is new in it. The reader's own log goes on to hold the problems of all. */
  more(text: string): KeyLog {
    const { problems } = this.log;
    const before = problems.length;
    this.log = { ...emptyKeyLog(), problems };
    this.add(text);
    return { ...this.log, problems: problems.slice(before) };
  }

  /** For one key more. */
  #hasRoom(): boolean {
    if (this.#keys++ === MAX_KEYS)
      this.#problem("refused", `more than ${MAX_KEYS} different keys: the rest is left out; give the lines of the capture's time`);
    return this.#keys <= MAX_KEYS;
  }
  #problem(ours: KeyLogProblem["ours"], why: string, name?: KeyName): void {
    if (this.log.problems.length < 1000) this.log.problems.push({ line: this.#line, ours, why, ...(name ? { name } : {}) });
  }

  #read(raw: string): void {
    if (raw.length > 511) this.#problem("taken", "longer than 511 characters: Wireshark splits such a line and takes neither half");
    // As in wg's configurations: a remark may stand behind the key.
    const [bare] = raw.split("#", 1) as [string];
    const text = bare.replace(/^[ \t]+|[ \t]+$/g, "");
    if (text === "" || /^\[(Interface|Peer)\]$/i.test(text)) return;
    if (HEADING.test(text)) {
      this.#endGroup();
      this.#isGroup = true;
      return;
    }
    const session = /^(?:WGX_SESSION_KEY\s*=\s*)?0x([0-9a-fA-F]{8})\s+(\S+)$/.exec(text);
    if (session) return this.#session(parseInt(session[1]!, 16), session[2]!);
    const pair = /^([A-Za-z_]+)[ \t]*=[ \t]*(\S.*)$/.exec(text);
    if (!pair) return this.#bare(text);
    const name = pair[1]!;
    const known = NAMES.find((n) => n === name.toUpperCase()) ?? WG_NAMES[name.toLowerCase()];
    if (!known) return this.#unknown(name);
    const key = this.#key(pair[2]!, known);
    if (!key) return;
    if (known !== name) this.#problem("taken", `"${name}" is not written ${known}: Wireshark ignores the line`);
    if (raw.startsWith("\t")) this.#problem("taken", "a tab stands before it: Wireshark ignores the line");
    if (bare !== raw) this.#problem("taken", "a remark stands after the key: Wireshark ignores the line");
    else if (/[ \t]$/.test(raw)) this.#problem("taken", "blanks stand after the key: Wireshark ignores the line");
    this.#store(known, key);
  }

  #store(name: KeyName, key: Uint8Array): void {
    const { log } = this;
    if (name === "LOCAL_STATIC_PRIVATE_KEY" || name === "REMOTE_STATIC_PUBLIC_KEY") {
      const id = `${name} ${toHex(key)}`;
      if (this.#statics.has(id) || !this.#hasRoom()) return;
      this.#statics.add(id);
      (name === "LOCAL_STATIC_PRIVATE_KEY" ? log.staticPrivate : log.staticPublic).push(key);
    } else if (name === "LOCAL_EPHEMERAL_PRIVATE_KEY") {
      if (!this.#hasRoom()) return;
      this.#last = { privateKey: key, presharedKeys: [] };
      log.ephemerals.push(this.#last);
      const early = this.#early;
      this.#early = undefined;
      if (early) this.#attach(early);
    } else if (this.#isGroup && !this.#early && !this.#last) {
      this.#early = key;
      this.#problem(
        "taken",
        "under its heading this PRESHARED_KEY stands before the LOCAL_EPHEMERAL_PRIVATE_KEY: Wireshark gives it to the handshake before",
      );
    } else if (this.#last) this.#attach(key);
    else this.#loosen(key);
  }
  #attach(key: Uint8Array): void {
    const { ephemerals } = this.log;
    // The ephemeral may stand in an earlier block, which is read already.
    if (ephemerals.at(-1) !== this.#last) ephemerals.push({ privateKey: this.#last!.privateKey, presharedKeys: [] });
    ephemerals.at(-1)!.presharedKeys.unshift(key);
    this.#last = undefined;
  }
  #loosen(key: Uint8Array): void {
    if (!this.#hasRoom()) return;
    this.log.loosePresharedKeys.push(key);
    this.#problem(
      "taken",
      "no LOCAL_EPHEMERAL_PRIVATE_KEY line stands before this PRESHARED_KEY: Wireshark drops it, here it is tried with every handshake",
    );
  }
  /** A heading, or the end of the text, separates handshakes: no key is carried over it. */
  #endGroup(): void {
    if (!this.#isGroup) return;
    if (this.#early) this.log.loosePresharedKeys.push(this.#early);
    this.#early = undefined;
    this.#last = undefined;
    this.#isGroup = false;
  }

  #session(index: number, value: string): void {
    const key = this.#key(value);
    if (!key || !this.#hasRoom()) return;
    const list = this.log.sessionKeys.get(index) ?? [];
    list.push(key);
    this.log.sessionKeys.set(index, list);
  }

  #unknown(name: string): void {
    // Lines of a wg(8) configuration that hold no key, and marks of ours for later.
    if (name.startsWith("WGX_") || WG_OTHER.has(name.toLowerCase())) return;
    const near = NAMES.map((n) => ({ n, same: commonPrefix(n, name.toUpperCase()) })).sort((x, y) => y.same - x.same)[0]!;
    // What is long and like no name may be a key with something after it: it is not repeated.
    const said = name.length <= 12 || near.same >= 5 ? `"${name.slice(0, 40)}"` : "what stands before the =";
    this.#problem("refused", `${said} is no kind of key${near.same >= 5 ? `: ${near.n} is` : ""}`);
  }

  #bare(text: string): void {
    const key = decode(text);
    if (key && this.#hasRoom()) this.log.bare.push({ line: this.#line, key });
    else if (!key) this.#problem("refused", "neither TYPE = KEY nor a key of 44 base64 characters");
  }

  #key(value: string, name?: KeyName): Uint8Array | undefined {
    const strict = /^[A-Za-z0-9+/]{43}=$/.test(value) ? fromBase64(value) : undefined;
    if (strict) return strict;
    const lenient = decode(value);
    if (lenient)
      this.#problem(
        "taken",
        /^[0-9a-fA-F]{64}$/.test(value) ? "the key is in hex: Wireshark takes base64 only" : "the key is not in standard base64",
      );
    else this.#problem("refused", wrongKey(value), name);
    return lenient;
  }
}

/** Why a value is no key; none of it is repeated. */
function wrongKey(value: string): string {
  const wanted = "44 of base64, or 64 of hex, are wanted";
  if (value.length !== 44 && value.length !== 64) return `the key has ${value.length} characters; ${wanted}`;
  const odd = value.search(/[^A-Za-z0-9+/=_-]/);
  return odd >= 0 ? `character ${odd + 1} of the key is none of base64; ${wanted}` : `the key does not stand for 32 bytes; ${wanted}`;
}

function commonPrefix(a: string, b: string): number {
  let n = 0;
  while (n < a.length && a[n] === b[n]) n++;
  return n;
}

/** 32 bytes of standard base64 (also url-safe, unpadded, or with stray low bits in the last digit) or of hex. */
function decode(value: string): Uint8Array | undefined {
  if (/^(0x)?[0-9a-fA-F]{64}$/.test(value)) return fromHex(value.replace(/^0x/, ""));
  const standard = value.replaceAll("-", "+").replaceAll("_", "/");
  if (!/^[A-Za-z0-9+/]{43}=?$/.test(standard)) return undefined;
  // 43 digits are 258 bits: the last digit's two low bits are no part of the key.
  const last = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".indexOf(standard[42]!);
  const exact = "AEIMQUYcgkosw048"[last >> 2]!;
  return fromBase64(`${standard.slice(0, 42)}${exact}=`);
}

/** A key log's text: UTF-8, or what a byte order mark says. The mark stays: Wireshark trips over it. */
export function keyLogText(bytes: Uint8Array): string {
  const encoding = bytes[0] === 0xff && bytes[1] === 0xfe ? "utf-16le" : bytes[0] === 0xfe && bytes[1] === 0xff ? "utf-16be" : "utf-8";
  return new TextDecoder(encoding, { ignoreBOM: true }).decode(bytes);
}

/** A whole key log. */
export function parseKeyLog(text: string): KeyLog {
  const reader = new KeyLogReader();
  reader.add(text);
  return reader.log;
}

/** The WireGuard key blocks of a file as one log, or undefined when it has none. */
export function keyLogOf(secrets: readonly SecretsBlock[]): KeyLog | undefined {
  const own = secrets.filter((s) => s.type === SECRETS_WIREGUARD);
  if (own.length === 0) return undefined;
  const reader = new KeyLogReader();
  for (const s of own) reader.add(keyLogText(s.data));
  return reader.log;
}

/** Both logs' keys; the first one's are tried first. */
export function mergeKeyLogs(a: KeyLog, b: KeyLog): KeyLog {
  const sessionKeys = new Map<number, Uint8Array[]>([...a.sessionKeys].map(([index, keys]) => [index, [...keys]]));
  for (const [index, keys] of b.sessionKeys) sessionKeys.set(index, [...(sessionKeys.get(index) ?? []), ...keys]);
  return {
    staticPrivate: [...a.staticPrivate, ...b.staticPrivate],
    staticPublic: [...a.staticPublic, ...b.staticPublic],
    ephemerals: [...a.ephemerals, ...b.ephemerals],
    sessionKeys,
    loosePresharedKeys: [...a.loosePresharedKeys, ...b.loosePresharedKeys],
    bare: [...a.bare, ...b.bare],
    problems: [...a.problems, ...b.problems],
  };
}

/** The keys of one side of a handshake, 32 bytes each. */
export type HandshakeRecord = {
  readonly localStaticPrivate: Uint8Array;
  readonly remoteStaticPublic: Uint8Array;
  readonly localEphemeralPrivate: Uint8Array;
  /** Zeros when none is configured. */
  readonly presharedKey: Uint8Array;
};

/** The four lines of one handshake, in the order that Wireshark needs; always all four. */
export function handshakeRecord(r: HandshakeRecord): string {
  const values = [r.localStaticPrivate, r.remoteStaticPublic, r.localEphemeralPrivate, r.presharedKey];
  return NAMES.map((name, i) => `${name} = ${toBase64(values[i]!)}\n`).join("");
}

/** A log's text as Wireshark reads it: statics first, each ephemeral with its pre-shared keys after it; ours (session keys) last. */
export function formatKeyLog(log: KeyLog): string {
  const lines: string[] = [];
  const line = (name: KeyName, key: Uint8Array): void => void lines.push(`${name} = ${toBase64(key)}\n`);
  for (const k of log.staticPrivate) line("LOCAL_STATIC_PRIVATE_KEY", k);
  for (const k of log.staticPublic) line("REMOTE_STATIC_PUBLIC_KEY", k);
  for (const e of log.ephemerals) {
    // A repeated ephemeral line takes one more pre-shared key; the newest is tried first, so the oldest is written first.
    const psks = [...e.presharedKeys].reverse();
    if (psks.length === 0) line("LOCAL_EPHEMERAL_PRIVATE_KEY", e.privateKey);
    for (const psk of psks) {
      line("LOCAL_EPHEMERAL_PRIVATE_KEY", e.privateKey);
      line("PRESHARED_KEY", psk);
    }
  }
  for (const [index, keys] of log.sessionKeys)
    for (const k of keys) lines.push(`WGX_SESSION_KEY = 0x${index.toString(16).padStart(8, "0")} ${toBase64(k)}\n`);
  return lines.join("");
}

/** A key block for a pcapng file. */
export function secretsOf(text: string): SecretsBlock {
  const data = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) data[i] = text.charCodeAt(i) & 127;
  return { type: SECRETS_WIREGUARD, data };
}
