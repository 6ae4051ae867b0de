// Filter expressions into their tree. `and` and `or` have one precedence, left to right, and `not` binds tighter, as in pcap-filter(7).
import type { Arithmetic, BinaryOp, Direction, Filter, Indexed, Network, RelationOp, Transport } from "./ast.ts";
import { FilterError, nearest } from "./error.ts";
import { type Token, tokenize } from "./lexer.ts";
import { CONSTANTS, ETHER_TYPES, IP_PROTOCOLS, PORTS } from "./names.ts";
import { hostOf, macOf } from "./operand.ts";

type Qualifiers = { protocol?: string; direction?: Direction; type?: "host" | "net" | "port" | "portrange" | "proto" };

const NETWORKS: readonly string[] = ["ip", "ip6", "arp", "rarp"];
const TRANSPORTS: readonly string[] = ["tcp", "udp", "sctp"];
const PROTOCOLS: readonly string[] = [...NETWORKS, ...TRANSPORTS, "icmp", "icmp6", "ether", "link"];
const TYPES: readonly string[] = ["host", "net", "port", "portrange", "proto"];
const OTHERS = "src dst and or not vlan less greater len mask wireguard inbound outbound broadcast multicast".split(" ");
const WORDS: readonly string[] = [...PROTOCOLS, ...TYPES, ...OTHERS];
const RELATIONS: Readonly<Record<string, RelationOp>> = { "=": "=", "==": "=", "!=": "!=", "<": "<", "<=": "<=", ">": ">", ">=": ">=" };
/** Loosest first. */
const PRECEDENCE: readonly (readonly BinaryOp[])[] = [["|"], ["^"], ["&"], ["<<", ">>"], ["+", "-"], ["*", "/", "%"]];
const MAX_DEPTH = 64;

/** The tree of an expression that is not empty. `macro` gives the meaning of the word `wireguard`. Throws FilterError. */
export function parseFilter(expression: string, macro: () => string): Filter {
  const tokens = tokenize(expression);
  if (!Array.isArray(tokens)) throw new FilterError(expression, tokens.badAt, `the character "${expression[tokens.badAt]}" cannot stand here`);
  return new Parser(expression, tokens, macro).whole();
}

class Parser {
  readonly #source: string;
  readonly #tokens: readonly Token[];
  readonly #macro: () => string;
  #at = 0;
  #depth = 0;
  /** Those of the last primitive: `port 80 or 443`. */
  #last: Qualifiers | undefined;

  constructor(source: string, tokens: readonly Token[], macro: () => string) {
    this.#source = source;
    this.#tokens = tokens;
    this.#macro = macro;
  }

  whole(): Filter {
    const filter = this.#expression();
    if (this.#token.kind !== "end") throw this.#stray();
    return filter;
  }

  get #token(): Token {
    return this.#tokens[this.#at]!;
  }
  #is(...texts: string[]): boolean {
    return this.#token.kind !== "end" && texts.includes(this.#token.text);
  }
  #accept(...texts: string[]): boolean {
    const found = this.#is(...texts);
    if (found) this.#at++;
    return found;
  }
  #expect(text: string): void {
    if (!this.#accept(text)) throw this.#error(`"${text}" is missing`);
  }
  #error(problem: string, suggestion?: string, at: number = this.#token.at): FilterError {
    return new FilterError(this.#source, at, problem, suggestion);
  }
  /** The expression with `text` in place of token `index`. */
  #replaced(index: number, text: string): string {
    const t = this.#tokens[index]!;
    return this.#source.slice(0, t.at) + text + this.#source.slice(t.at + t.text.length);
  }

  /** Something that follows a complete expression, or begins none. */
  #stray(): FilterError {
    const t = this.#token;
    if (t.kind === "end") return this.#error("something is missing at the end");
    const before = this.#tokens[this.#at - 1];
    if (before && t.kind === "number" && TRANSPORTS.includes(before.text)) {
      return this.#error(`a number cannot follow "${before.text}"`, this.#replaced(this.#at, `port ${t.text}`));
    }
    if (before && t.kind === "ip" && PROTOCOLS.includes(before.text)) {
      return this.#error(`an address cannot follow "${before.text}"`, this.#replaced(this.#at, `and host ${t.text}`));
    }
    if (t.kind === "number") return this.#error("a number alone says nothing", this.#replaced(this.#at, `port ${t.text}`));
    if (t.kind === "word" && !WORDS.includes(t.text)) {
      const meant = nearest(t.text, WORDS);
      return this.#error(`"${t.text}" is not a word of filters`, meant === undefined ? undefined : this.#replaced(this.#at, meant));
    }
    if (before && (t.kind === "word" || t.kind === "ip")) {
      return this.#error(`"${t.text}" cannot follow "${before.text}"`, this.#replaced(this.#at, `and ${t.text}`));
    }
    return this.#error(`"${t.text}" cannot stand here`);
  }

  #nested<T>(parse: () => T): T {
    if (++this.#depth > MAX_DEPTH) throw this.#error("it is nested too deeply");
    const result = parse();
    this.#depth--;
    return result;
  }

  #expression(): Filter {
    let left = this.#term();
    for (;;) {
      const kind = this.#accept("and", "&&") ? "and" : this.#accept("or", "||") ? "or" : undefined;
      if (!kind) return left;
      left = { kind, left, right: this.#term() };
    }
  }

  #term(): Filter {
    if (this.#accept("not", "!")) return { kind: "not", of: this.#nested(() => this.#term()) };
    const relation = this.#relation();
    if (relation) return relation;
    if (this.#accept("(")) {
      const inner = this.#nested(() => this.#expression());
      this.#expect(")");
      return inner;
    }
    return this.#primitive();
  }

  /** A comparison, if one begins here; otherwise nothing is taken. */
  #relation(): Filter | undefined {
    const start = this.#at;
    const t = this.#token;
    const begins = t.kind === "number" || ["(", "-", "len"].includes(t.text) || (PROTOCOLS.includes(t.text) && this.#tokens[start + 1]?.text === "[");
    if (!begins) return undefined;
    const certain = t.kind === "word";
    const depth = this.#depth;
    try {
      const left = this.#nested(() => this.#arithmetic(0));
      const op = RELATIONS[this.#token.text];
      if (op && this.#token.kind === "symbol") {
        this.#at++;
        return { kind: "relation", op, left, right: this.#nested(() => this.#arithmetic(0)) };
      }
      if (certain) throw this.#error("a comparison is missing");
    } catch (e) {
      if (certain || !(e instanceof FilterError)) throw e;
    }
    // "(" was a group, a number a port: read it again as such.
    this.#at = start;
    this.#depth = depth;
    return undefined;
  }

  #arithmetic(level: number): Arithmetic {
    const ops = PRECEDENCE[level];
    if (!ops) return this.#operand();
    let left = this.#arithmetic(level + 1);
    for (;;) {
      const op = this.#token.kind === "symbol" ? ops.find((o) => o === this.#token.text) : undefined;
      if (!op) return left;
      const sign = this.#tokens[this.#at++]!.at;
      const right = this.#arithmetic(level + 1);
      if ((op === "/" || op === "%") && right.kind === "number" && right.value === 0) throw this.#error("this divides by zero", undefined, sign);
      left = { kind: "binary", op, left, right };
    }
  }

  #operand(): Arithmetic {
    if (this.#accept("-")) return { kind: "negate", of: this.#nested(() => this.#operand()) };
    if (this.#accept("(")) {
      const inner = this.#nested(() => this.#arithmetic(0));
      this.#expect(")");
      return inner;
    }
    const t = this.#token;
    if (t.kind === "number") return { kind: "number", value: this.#number(0xffffffff) };
    if (t.text === "len") {
      this.#at++;
      return { kind: "length" };
    }
    if (Object.hasOwn(CONSTANTS, t.text)) {
      this.#at++;
      return { kind: "number", value: CONSTANTS[t.text]! };
    }
    if (!PROTOCOLS.includes(t.text) || this.#tokens[this.#at + 1]?.text !== "[") throw this.#error("a number or a piece of the packet is missing");
    this.#at += 2;
    const index = this.#nested(() => this.#arithmetic(0));
    let size: 1 | 2 | 4 = 1;
    if (this.#accept(":")) {
      const n = this.#number(4);
      if (n !== 1 && n !== 2 && n !== 4) throw this.#error("a piece has 1, 2 or 4 bytes", undefined, this.#tokens[this.#at - 1]!.at);
      size = n;
    }
    this.#expect("]");
    return { kind: "load", protocol: t.text === "ether" ? "link" : (t.text as Indexed), index, size };
  }

  #number(max: number): number {
    const t = this.#token;
    if (t.kind !== "number") throw this.#error("a number is missing");
    // A leading zero means octal, as in C.
    const value = /^0[0-7]+$/.test(t.text) ? parseInt(t.text, 8) : Number(t.text);
    if (value > max) throw this.#error(`${t.text} is more than ${max}`);
    this.#at++;
    return value;
  }

  #direction(): Direction | undefined {
    const first = this.#is("src", "dst") ? this.#token.text : undefined;
    if (!first) return undefined;
    this.#at++;
    const other = first === "src" ? "dst" : "src";
    if (this.#is("or", "and") && this.#tokens[this.#at + 1]?.text === other) {
      const both = this.#is("and");
      this.#at += 2;
      return both ? "both" : "either";
    }
    return first as Direction;
  }

  #primitive(): Filter {
    const start = this.#token;
    if (this.#accept("wireguard")) return parseFilter(this.#macro(), () => "");
    if (this.#is("inbound", "outbound")) return { kind: "way", way: this.#tokens[this.#at++]!.text as "inbound" };
    if (this.#accept("less")) return lengthTest("<=", this.#number(0xffffffff));
    if (this.#accept("greater")) return lengthTest(">=", this.#number(0xffffffff));
    if (this.#accept("vlan")) return { kind: "vlan", id: this.#token.kind === "number" ? this.#number(4095) : undefined };

    const q: Qualifiers = {};
    const word = start.text.replace(/^\\/, "");
    if (start.kind === "word" && PROTOCOLS.includes(word) && word !== "link") {
      this.#at++;
      q.protocol = word;
    }
    const direction = this.#direction();
    if (direction) q.direction = direction;
    if (this.#token.kind === "word" && TYPES.includes(this.#token.text)) q.type = this.#tokens[this.#at++]!.text as NonNullable<Qualifiers["type"]>;
    else if (q.protocol !== undefined && this.#is("broadcast", "multicast")) return this.#cast(q.protocol);
    else if (q.protocol === undefined && this.#is("broadcast", "multicast")) return this.#cast("ether");

    if (q.protocol !== undefined && !q.direction && !q.type) {
      const address = this.#token.kind === "ip" && NETWORKS.includes(q.protocol);
      if (!address) return this.#protocolAlone(q.protocol);
    }
    const bare = q.protocol === undefined && !q.direction && !q.type;
    if (bare && this.#last && (this.#token.kind === "number" || this.#token.kind === "ip" || this.#token.kind === "mac"))
      return this.#value(this.#last);
    if (bare && this.#last?.type?.startsWith("port") && Object.hasOwn(PORTS, this.#token.text)) return this.#value(this.#last);
    if (bare && this.#token.kind !== "ip") throw this.#stray();
    this.#last = q;
    return this.#value(q);
  }

  #protocolAlone(protocol: string): Filter {
    if (protocol === "ether") throw this.#error('"ether" needs host, src, dst, proto, broadcast or multicast');
    this.#last = undefined;
    return { kind: "protocol", protocol: protocol as Network };
  }

  #cast(family: string): Filter {
    const cast = this.#tokens[this.#at++]!.text as "broadcast" | "multicast";
    if ((family === "ip" || family === "ip6") && cast === "broadcast")
      throw this.#error(`"${family} broadcast" needs a netmask; say "ether broadcast"`);
    if (family !== "ether" && family !== "ip" && family !== "ip6") throw this.#error(`"${family}" has no ${cast}`);
    return { kind: "cast", family, cast };
  }

  /** The value behind the qualifiers. */
  #value(q: Qualifiers): Filter {
    const direction = q.direction ?? "either";
    if (q.type === "port" || q.type === "portrange") return this.#ports(q, direction);
    if (q.type === "proto") return this.#protocolNumber(q);
    if (q.protocol === "ether") {
      const mac = this.#token.kind === "mac" ? macOf(this.#token.text) : undefined;
      if (!mac) throw this.#error("an Ethernet address is missing");
      this.#at++;
      return { kind: "ether", direction, mac };
    }
    const t = this.#token;
    if (q.protocol !== undefined && !NETWORKS.includes(q.protocol)) throw this.#notForHosts(q.protocol);
    if (t.kind === "number" && q.type !== "net") {
      throw this.#error(`"${t.text}" is not an address`, q.type === undefined ? this.#replaced(this.#at, `port ${t.text}`) : undefined);
    }
    if (t.kind === "word") throw this.#word(t);
    if (t.kind !== "ip" && t.kind !== "number") throw this.#error("an address is missing");
    this.#at++;
    return this.#hostOrNet(t, q, direction);
  }

  #notForHosts(protocol: string): FilterError {
    const t = this.#token;
    const index = this.#at;
    if (t.kind === "number") return this.#error(`a number cannot follow "${this.#tokens[index - 1]!.text}"`, this.#replaced(index, `port ${t.text}`));
    return this.#error(`"${protocol}" has no addresses`, t.kind === "ip" ? `${protocol} and host ${t.text}` : undefined);
  }

  #word(t: Token): FilterError {
    if (TRANSPORTS.includes(t.text)) {
      const type = this.#tokens[this.#at - 1];
      const number = this.#tokens[this.#at + 1];
      if (type?.text === "port" && number?.kind === "number") {
        const swapped = `${this.#source.slice(0, type.at)}${t.text} port ${this.#source.slice(number.at)}`;
        return this.#error(`"${t.text}" comes before "port"`, swapped);
      }
    }
    return this.#error(`"${t.text}" is not an address; names are not looked up`);
  }

  #hostOrNet(t: Token, q: Qualifiers, direction: Direction): Filter {
    let length: number | undefined;
    let mask: string | undefined;
    if (this.#accept("/")) length = this.#number(128);
    else if (this.#accept("mask")) mask = this.#tokens[this.#at++]?.text ?? "";
    const host = hostOf(t.text, q.type === "net" || length !== undefined || mask !== undefined, length, mask);
    if (typeof host === "string") throw this.#error(host, undefined, t.at);
    const protocol = q.protocol as Network | undefined;
    if (protocol !== undefined && (protocol === "ip6") !== (host.ip.length === 16)) {
      throw this.#error(`"${t.text}" is not an address of "${protocol}"`, undefined, t.at);
    }
    return { kind: "host", protocol, direction, ...host };
  }

  #port(): number {
    const t = this.#token;
    if (t.kind === "number") return this.#number(65535);
    const port = Object.hasOwn(PORTS, t.text) ? PORTS[t.text] : undefined;
    if (port === undefined) throw TRANSPORTS.includes(t.text) ? this.#word(t) : this.#error("a port is missing");
    this.#at++;
    return port;
  }

  #ports(q: Qualifiers, direction: Direction): Filter {
    if (q.protocol !== undefined && !TRANSPORTS.includes(q.protocol)) throw this.#error(`"${q.protocol}" has no ports`);
    const low = this.#port();
    let high = low;
    if (q.type === "portrange" && this.#accept("-")) high = this.#port();
    return { kind: "port", protocol: q.protocol as Transport | undefined, direction, low: Math.min(low, high), high: Math.max(low, high) };
  }

  #protocolNumber(q: Qualifiers): Filter {
    const ether = q.protocol === "ether";
    if (!ether && q.protocol !== undefined && q.protocol !== "ip" && q.protocol !== "ip6") throw this.#error(`"${q.protocol} proto" says nothing`);
    const names = ether ? ETHER_TYPES : IP_PROTOCOLS;
    const name = this.#token.text.replace(/^\\/, "");
    let number: number;
    if (this.#token.kind === "word" && Object.hasOwn(names, name)) {
      number = names[name]!;
      this.#at++;
    } else number = this.#number(ether ? 0xffff : 255);
    if (ether) return { kind: "etherProtocol", number };
    return { kind: "ipProtocol", family: (q.protocol as "ip" | "ip6" | undefined) ?? "any", number };
  }
}

const lengthTest = (op: RelationOp, value: number): Filter => ({
  kind: "relation",
  op,
  left: { kind: "length" },
  right: { kind: "number", value },
});
