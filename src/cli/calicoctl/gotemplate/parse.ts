// The tree of a template: https://pkg.go.dev/text/template#hdr-Actions
import { type Piece, piecesOf, templateError, type Token } from "./lex.ts";

export type Value = null | undefined | boolean | number | string | Value[] | { [key: string]: Value };
export type Argument =
  | { readonly is: "value"; readonly value: Value }
  | { readonly is: "dot"; readonly fields: readonly string[] }
  | { readonly is: "variable"; readonly name: string; readonly fields: readonly string[] }
  | { readonly is: "function"; readonly name: string }
  | { readonly is: "pipe"; readonly pipe: Pipe; readonly fields: readonly string[] };
export type Command = readonly Argument[];
export type Pipe = { readonly variables: readonly string[]; readonly assigns: boolean; readonly commands: readonly Command[]; readonly line: number };
export type Node =
  | { readonly is: "text"; readonly text: string }
  | { readonly is: "action"; readonly pipe: Pipe }
  | { readonly is: "if" | "range" | "with"; readonly pipe: Pipe; readonly body: readonly Node[]; readonly otherwise: readonly Node[] }
  | { readonly is: "template"; readonly name: string; readonly pipe: Pipe | undefined; readonly line: number }
  | { readonly is: "break" | "continue" };
export type Template = { readonly nodes: readonly Node[]; readonly named: ReadonlyMap<string, readonly Node[]> };

const CONSTANTS: ReadonlyMap<string, Value> = new Map<string, Value>([
  ["true", true],
  ["false", false],
  ["nil", null],
]);

/** The words of one action. */
class Words {
  readonly line: number;
  readonly #tokens: readonly Token[];
  #at = 0;
  constructor(tokens: readonly Token[], line: number) {
    this.#tokens = tokens;
    this.line = line;
  }
  peek(ahead = 0): Token | undefined {
    return this.#tokens[this.#at + ahead];
  }
  next(): Token | undefined {
    return this.#tokens[this.#at++];
  }
  take(is: Token["is"], text?: string): boolean {
    const token = this.peek();
    if (token?.is !== is || (text !== undefined && token.text !== text)) return false;
    this.#at++;
    return true;
  }
  end(what: string): void {
    const token = this.peek();
    if (token) throw templateError(this.line, `unexpected ${JSON.stringify(token.text)} in ${what}`);
  }
}

function fieldsOf(words: Words): string[] {
  const fields: string[] = [];
  for (let t = words.peek(); t?.is === "field" && t.chained; t = words.peek()) fields.push(words.next()!.text);
  return fields;
}

function argumentOf(words: Words): Argument {
  const token = words.next()!;
  switch (token.is) {
    case "string":
      return { is: "value", value: token.text };
    case "number":
      return { is: "value", value: Number(token.text) };
    case "dot":
      return { is: "dot", fields: fieldsOf(words) };
    case "field":
      return { is: "dot", fields: [token.text, ...fieldsOf(words)] };
    case "variable":
      return { is: "variable", name: token.text, fields: fieldsOf(words) };
    case "word":
      return CONSTANTS.has(token.text) ? { is: "value", value: CONSTANTS.get(token.text) } : { is: "function", name: token.text };
    case "(": {
      const pipe = pipeOf(words);
      if (!words.take(")")) throw templateError(words.line, "unclosed left paren");
      return { is: "pipe", pipe, fields: fieldsOf(words) };
    }
    case "|":
    case ")":
    case ":=":
    case "=":
    case ",":
      throw templateError(words.line, `unexpected ${JSON.stringify(token.text)} in operand`);
  }
}

function declared(words: Words): { variables: string[]; assigns: boolean } {
  const variables: string[] = [];
  const [first, second, third, fourth] = [0, 1, 2, 3].map((i) => words.peek(i));
  const one = first?.is === "variable" && (second?.is === ":=" || second?.is === "=");
  const two = first?.is === "variable" && second?.is === "," && third?.is === "variable" && (fourth?.is === ":=" || fourth?.is === "=");
  if (!one && !two) return { variables, assigns: false };
  variables.push(words.next()!.text);
  if (two) {
    words.next();
    variables.push(words.next()!.text);
  }
  return { variables, assigns: words.next()!.is === "=" };
}

function pipeOf(words: Words): Pipe {
  const { variables, assigns } = declared(words);
  const commands: Command[] = [];
  do {
    const command: Argument[] = [];
    for (let t = words.peek(); t && t.is !== "|" && t.is !== ")"; t = words.peek()) command.push(argumentOf(words));
    if (command.length === 0) throw templateError(words.line, "missing value for command");
    commands.push(command);
  } while (words.take("|"));
  return { variables, assigns, commands, line: words.line };
}

const wholePipe = (words: Words, what: string): Pipe => {
  const pipe = pipeOf(words);
  words.end(what);
  return pipe;
};

class Parser {
  readonly #pieces: readonly Piece[];
  readonly named = new Map<string, readonly Node[]>();
  #at = 0;
  #ranges = 0;
  constructor(pieces: readonly Piece[]) {
    this.#pieces = pieces;
  }

  /** Nodes up to an `else` or `end` of the block that began at `opened`; without it up to the end. The words behind `else` are left in `rest`. */
  list(opened: number | undefined): { nodes: Node[]; ended: "end" | "else" | "eof"; rest: Words | undefined } {
    const nodes: Node[] = [];
    for (;;) {
      const piece = this.#pieces[this.#at++];
      if (piece === undefined) {
        if (opened !== undefined) throw templateError(opened, "unexpected EOF: an action is not ended");
        return { nodes, ended: "eof", rest: undefined };
      }
      if ("text" in piece) {
        nodes.push({ is: "text", text: piece.text });
        continue;
      }
      const words = new Words(piece.action, piece.line);
      const ends = words.take("word", "end") ? "end" : words.take("word", "else") ? "else" : undefined;
      if (ends === undefined) {
        const node = this.#node(words);
        if (node) nodes.push(node);
        continue;
      }
      if (opened === undefined) throw templateError(piece.line, `unexpected {{${ends}}}`);
      if (ends === "end") words.end("end");
      return { nodes, ended: ends, rest: words };
    }
  }

  #node(words: Words): Node | undefined {
    if (words.take("word", "if")) return this.#branch("if", words);
    if (words.take("word", "range")) return this.#branch("range", words);
    if (words.take("word", "with")) return this.#branch("with", words);
    for (const is of ["break", "continue"] as const)
      if (words.take("word", is)) {
        if (this.#ranges === 0) throw templateError(words.line, `{{${is}}} outside {{range}}`);
        return { is };
      }
    if (words.take("word", "define")) return this.#define(words);
    if (words.take("word", "block")) {
      const name = this.#name(words);
      const pipe = wholePipe(words, "block");
      this.#body(name, words.line);
      return { is: "template", name, pipe, line: words.line };
    }
    if (words.take("word", "template")) {
      const name = this.#name(words);
      return { is: "template", name, pipe: words.peek() ? wholePipe(words, "template clause") : undefined, line: words.line };
    }
    return { is: "action", pipe: wholePipe(words, "command") };
  }

  #name(words: Words): string {
    const token = words.next();
    if (token?.is !== "string") throw templateError(words.line, "a template's name must be a string");
    return token.text;
  }
  #define(words: Words): undefined {
    const name = this.#name(words);
    words.end("define clause");
    this.#body(name, words.line);
  }
  #body(name: string, line: number): void {
    const around = this.#ranges;
    this.#ranges = 0;
    const { nodes, ended } = this.list(line);
    this.#ranges = around;
    if (ended !== "end") throw templateError(line, "unexpected {{else}} in define clause");
    this.named.set(name, nodes);
  }

  #branch(is: "if" | "range" | "with", words: Words): Node {
    const pipe = wholePipe(words, is);
    if (is === "range") this.#ranges++;
    const { nodes, ended, rest } = this.list(words.line);
    if (is === "range") this.#ranges--;
    if (ended === "end") return { is, pipe, body: nodes, otherwise: [] };
    // {{else if x}} is an if inside of the else, ended by the same end.
    if (rest!.take("word", "if")) return { is, pipe, body: nodes, otherwise: [this.#branch("if", rest!)] };
    if (is === "with" && rest!.take("word", "with")) return { is, pipe, body: nodes, otherwise: [this.#branch("with", rest!)] };
    rest!.end("else");
    const other = this.list(words.line);
    if (other.ended !== "end") throw templateError(words.line, "expected end; found {{else}}");
    return { is, pipe, body: nodes, otherwise: other.nodes };
  }
}

/** Throws TortieError with the line where the template cannot be understood. */
export function parseTemplate(source: string): Template {
  const parser = new Parser(piecesOf(source));
  const { nodes } = parser.list(undefined);
  return { nodes, named: parser.named };
}
