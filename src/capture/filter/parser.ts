// Filter expressions into their tree. `and` and `or` have one precedence, left to right, and `not` binds tighter, as in pcap-filter(7).
import { relation } from "./arithmetic.ts";
import type { Direction, Filter, Network, RelationOp, Transport } from "./ast.ts";
import { Cursor } from "./cursor.ts";
import { FilterError, nearest } from "./error.ts";
import { type Token, tokenize } from "./lexer.ts";
import { ETHER_TYPES, IP_PROTOCOLS, NETWORKS, PORTS, PROTOCOLS, TRANSPORTS } from "./names.ts";
import { hostOf, macOf } from "./operand.ts";

type Qualifiers = { protocol?: string; direction?: Direction; type?: "host" | "net" | "port" | "portrange" | "proto" };

const TYPES: readonly string[] = ["host", "net", "port", "portrange", "proto"];
const OTHERS = "src dst and or not vlan less greater len mask wireguard inbound outbound broadcast multicast".split(" ");
const WORDS: readonly string[] = [...PROTOCOLS, ...TYPES, ...OTHERS];

/** The tree of an expression that is not empty. `macro` gives the meaning of the word `wireguard`. Throws FilterError. */
export function parseFilter(expression: string, macro: () => string): Filter {
  const tokens = tokenize(expression);
  if (!Array.isArray(tokens)) throw new FilterError(expression, tokens.badAt, `the character "${expression[tokens.badAt]}" cannot stand here`);
  return new Parser(new Cursor(expression, tokens), macro).whole();
}

class Parser {
  readonly #c: Cursor;
  readonly #macro: () => string;
  /** Those of the last primitive: `port 80 or 443`. */
  #last: Qualifiers | undefined;

  constructor(cursor: Cursor, macro: () => string) {
    this.#c = cursor;
    this.#macro = macro;
  }

  whole(): Filter {
    const filter = this.#expression();
    if (this.#c.token.kind !== "end") throw this.#stray();
    return filter;
  }

  /** Something that follows a complete expression, or begins none. */
  #stray(): FilterError {
    const t = this.#c.token;
    if (t.kind === "end") return this.#c.error("something is missing at the end");
    const before = this.#c.tokens[this.#c.at - 1];
    if (before && t.kind === "number" && TRANSPORTS.includes(before.text)) {
      return this.#c.error(`a number cannot follow "${before.text}"`, this.#c.replaced(this.#c.at, `port ${t.text}`));
    }
    if (before && t.kind === "ip" && PROTOCOLS.includes(before.text)) {
      return this.#c.error(`an address cannot follow "${before.text}"`, this.#c.replaced(this.#c.at, `and host ${t.text}`));
    }
    if (t.kind === "number") return this.#c.error("a number alone says nothing", this.#c.replaced(this.#c.at, `port ${t.text}`));
    if (t.kind === "word" && !WORDS.includes(t.text)) {
      const meant = nearest(t.text, WORDS);
      return this.#c.error(`"${t.text}" is not a word of filters`, meant === undefined ? undefined : this.#c.replaced(this.#c.at, meant));
    }
    if (before && (t.kind === "word" || t.kind === "ip")) {
      return this.#c.error(`"${t.text}" cannot follow "${before.text}"`, this.#c.replaced(this.#c.at, `and ${t.text}`));
    }
    return this.#c.error(`"${t.text}" cannot stand here`);
  }

  #expression(): Filter {
    let left = this.#term();
    for (;;) {
      const kind = this.#c.accept("and", "&&") ? "and" : this.#c.accept("or", "||") ? "or" : undefined;
      if (!kind) return left;
      left = { kind, left, right: this.#term() };
    }
  }

  #term(): Filter {
    if (this.#c.accept("not", "!")) return { kind: "not", of: this.#c.nested(() => this.#term()) };
    const compared = relation(this.#c);
    if (compared) return compared;
    if (this.#c.accept("(")) {
      const inner = this.#c.nested(() => this.#expression());
      this.#c.expect(")");
      return inner;
    }
    return this.#primitive();
  }

  #direction(): Direction | undefined {
    const first = this.#c.is("src", "dst") ? this.#c.token.text : undefined;
    if (!first) return undefined;
    this.#c.at++;
    const other = first === "src" ? "dst" : "src";
    if (this.#c.is("or", "and") && this.#c.tokens[this.#c.at + 1]?.text === other) {
      const both = this.#c.is("and");
      this.#c.at += 2;
      return both ? "both" : "either";
    }
    return first as Direction;
  }

  #primitive(): Filter {
    const start = this.#c.token;
    if (this.#c.accept("wireguard")) return parseFilter(this.#macro(), () => "");
    if (this.#c.is("inbound", "outbound")) return { kind: "way", way: this.#c.tokens[this.#c.at++]!.text as "inbound" };
    if (this.#c.accept("less")) return lengthTest("<=", this.#c.number(0xffffffff));
    if (this.#c.accept("greater")) return lengthTest(">=", this.#c.number(0xffffffff));
    if (this.#c.accept("vlan")) return { kind: "vlan", id: this.#c.token.kind === "number" ? this.#c.number(4095) : undefined };

    const q: Qualifiers = {};
    const word = start.text.replace(/^\\/, "");
    if (start.kind === "word" && PROTOCOLS.includes(word) && word !== "link") {
      this.#c.at++;
      q.protocol = word;
    }
    const direction = this.#direction();
    if (direction) q.direction = direction;
    if (this.#c.token.kind === "word" && TYPES.includes(this.#c.token.text))
      q.type = this.#c.tokens[this.#c.at++]!.text as NonNullable<Qualifiers["type"]>;
    else if (q.protocol !== undefined && this.#c.is("broadcast", "multicast")) return this.#cast(q.protocol);
    else if (q.protocol === undefined && this.#c.is("broadcast", "multicast")) return this.#cast("ether");

    if (q.protocol !== undefined && !q.direction && !q.type) {
      const address = this.#c.token.kind === "ip" && NETWORKS.includes(q.protocol);
      if (!address) return this.#protocolAlone(q.protocol);
    }
    const bare = q.protocol === undefined && !q.direction && !q.type;
    if (bare && this.#last && (this.#c.token.kind === "number" || this.#c.token.kind === "ip" || this.#c.token.kind === "mac"))
      return this.#value(this.#last);
    if (bare && this.#last?.type?.startsWith("port") && Object.hasOwn(PORTS, this.#c.token.text)) return this.#value(this.#last);
    if (bare && this.#c.token.kind !== "ip") throw this.#stray();
    this.#last = q;
    return this.#value(q);
  }

  #protocolAlone(protocol: string): Filter {
    if (protocol === "ether") throw this.#c.error('"ether" needs host, src, dst, proto, broadcast or multicast');
    this.#last = undefined;
    return { kind: "protocol", protocol: protocol as Network };
  }

  #cast(family: string): Filter {
    const cast = this.#c.tokens[this.#c.at++]!.text as "broadcast" | "multicast";
    if ((family === "ip" || family === "ip6") && cast === "broadcast")
      throw this.#c.error(`"${family} broadcast" needs a netmask; say "ether broadcast"`);
    if (family !== "ether" && family !== "ip" && family !== "ip6") throw this.#c.error(`"${family}" has no ${cast}`);
    return { kind: "cast", family, cast };
  }

  /** The value behind the qualifiers. */
  #value(q: Qualifiers): Filter {
    const direction = q.direction ?? "either";
    if (q.type === "port" || q.type === "portrange") return this.#ports(q, direction);
    if (q.type === "proto") return this.#protocolNumber(q);
    if (q.protocol === "ether") {
      const mac = this.#c.token.kind === "mac" ? macOf(this.#c.token.text) : undefined;
      if (!mac) throw this.#c.error("an Ethernet address is missing");
      this.#c.at++;
      return { kind: "ether", direction, mac };
    }
    const t = this.#c.token;
    if (q.protocol !== undefined && !NETWORKS.includes(q.protocol)) throw this.#notForHosts(q.protocol);
    if (t.kind === "number" && q.type !== "net") {
      throw this.#c.error(`"${t.text}" is not an address`, q.type === undefined ? this.#c.replaced(this.#c.at, `port ${t.text}`) : undefined);
    }
    if (t.kind === "word") throw this.#word(t);
    if (t.kind !== "ip" && t.kind !== "number") throw this.#c.error("an address is missing");
    this.#c.at++;
    return this.#hostOrNet(t, q, direction);
  }

  #notForHosts(protocol: string): FilterError {
    const t = this.#c.token;
    const index = this.#c.at;
    if (t.kind === "number")
      return this.#c.error(`a number cannot follow "${this.#c.tokens[index - 1]!.text}"`, this.#c.replaced(index, `port ${t.text}`));
    return this.#c.error(`"${protocol}" has no addresses`, t.kind === "ip" ? `${protocol} and host ${t.text}` : undefined);
  }

  #word(t: Token): FilterError {
    if (TRANSPORTS.includes(t.text)) {
      const type = this.#c.tokens[this.#c.at - 1];
      const number = this.#c.tokens[this.#c.at + 1];
      if (type?.text === "port" && number?.kind === "number") {
        const swapped = `${this.#c.source.slice(0, type.at)}${t.text} port ${this.#c.source.slice(number.at)}`;
        return this.#c.error(`"${t.text}" comes before "port"`, swapped);
      }
    }
    return this.#c.error(`"${t.text}" is not an address; names are not looked up`);
  }

  #hostOrNet(t: Token, q: Qualifiers, direction: Direction): Filter {
    let length: number | undefined;
    let mask: string | undefined;
    if (this.#c.accept("/")) length = this.#c.number(128);
    else if (this.#c.accept("mask")) mask = this.#c.tokens[this.#c.at++]?.text ?? "";
    const host = hostOf(t.text, q.type === "net" || length !== undefined || mask !== undefined, length, mask);
    if (typeof host === "string") throw this.#c.error(host, undefined, t.at);
    const protocol = q.protocol as Network | undefined;
    if (protocol !== undefined && (protocol === "ip6") !== (host.ip.length === 16)) {
      throw this.#c.error(`"${t.text}" is not an address of "${protocol}"`, undefined, t.at);
    }
    return { kind: "host", protocol, direction, ...host };
  }

  #port(): number {
    const t = this.#c.token;
    if (t.kind === "number") return this.#c.number(65535);
    const port = Object.hasOwn(PORTS, t.text) ? PORTS[t.text] : undefined;
    if (port === undefined) throw TRANSPORTS.includes(t.text) ? this.#word(t) : this.#c.error("a port is missing");
    this.#c.at++;
    return port;
  }

  #ports(q: Qualifiers, direction: Direction): Filter {
    if (q.protocol !== undefined && !TRANSPORTS.includes(q.protocol)) throw this.#c.error(`"${q.protocol}" has no ports`);
    const low = this.#port();
    let high = low;
    if (q.type === "portrange" && this.#c.accept("-")) high = this.#port();
    return { kind: "port", protocol: q.protocol as Transport | undefined, direction, low: Math.min(low, high), high: Math.max(low, high) };
  }

  #protocolNumber(q: Qualifiers): Filter {
    const ether = q.protocol === "ether";
    if (!ether && q.protocol !== undefined && q.protocol !== "ip" && q.protocol !== "ip6") throw this.#c.error(`"${q.protocol} proto" says nothing`);
    const names = ether ? ETHER_TYPES : IP_PROTOCOLS;
    const name = this.#c.token.text.replace(/^\\/, "");
    let number: number;
    if (this.#c.token.kind === "word" && Object.hasOwn(names, name)) {
      number = names[name]!;
      this.#c.at++;
    } else number = this.#c.number(ether ? 0xffff : 255);
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
