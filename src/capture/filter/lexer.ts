// Words of a filter expression, each with its place, for errors that point.

export type Token = {
  readonly kind: "word" | "number" | "ip" | "mac" | "symbol" | "end";
  readonly text: string;
  /** Place in the expression, from 0. */
  readonly at: number;
};

// Longest kinds first: a MAC address looks like an IPv6 address, and that like numbers with colons (which in `udp[8:1]` they are).
const KINDS: readonly (readonly [Token["kind"], RegExp])[] = [
  ["mac", /(?:[0-9a-fA-F]{1,2}:){5}[0-9a-fA-F]{1,2}(?![0-9a-fA-F:])/y],
  ["ip", /[0-9a-fA-F]{0,4}(?::[0-9a-fA-F]{0,4}){2,7}(?:\.[0-9]{1,3}){0,3}/y],
  ["ip", /[0-9]{1,3}(?:\.[0-9]{1,3}){1,3}(?![0-9A-Za-z.])/y],
  ["number", /0[xX][0-9a-fA-F]+|[0-9]+/y],
  ["word", /\\?[A-Za-z][A-Za-z0-9_.-]*/y],
  ["symbol", /<<|>>|<=|>=|==|!=|&&|\|\||[-+*/%&|^<>=!()[\]:]/y],
];
const BLANKS = /\s*/y;

/** The tokens, an "end" last; or where a character stands that begins none. */
export function tokenize(text: string): Token[] | { readonly badAt: number } {
  const tokens: Token[] = [];
  for (let at = 0; ;) {
    BLANKS.lastIndex = at;
    at += BLANKS.exec(text)![0].length;
    if (at === text.length) {
      tokens.push({ kind: "end", text: "", at });
      return tokens;
    }
    const token = tokenAt(text, at);
    if (!token) return { badAt: at };
    tokens.push(token);
    at += token.text.length;
  }
}

function tokenAt(text: string, at: number): Token | undefined {
  for (const [kind, pattern] of KINDS) {
    pattern.lastIndex = at;
    const found = pattern.exec(text)?.[0];
    if (found) return { kind, text: found, at };
  }
  return undefined;
}
