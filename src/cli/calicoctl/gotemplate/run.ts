// Executes a template over resources. Fields are found by the name of the JSON field, or by that of calicoctl's own Go structures (ObjectMeta.Name,
// Spec.CIDR, Items): Go writes them in capitals, so case does not count where no field has the very name.
import { isJsonMap, type Scope, scopeOf } from "./scope.ts";
import { type Call, configOf, FUNCTIONS, isTrue, printed } from "./functions.ts";
import { templateError } from "./lex.ts";
import { type Argument, type Command, type Node, parseTemplate, type Pipe, type Template, type Value } from "./parse.ts";
import { messageOf } from "../../../base/errors.ts";

const DEEPEST = 100;
/** Thrown inside of a range, and caught by it. */
class Leave extends Error {
  readonly how: "break" | "continue";
  constructor(how: "break" | "continue") {
    super(how);
    this.how = how;
  }
}

function field(of: Value, name: string): Value {
  if (!isJsonMap(of)) return undefined;
  if (Object.hasOwn(of, name)) return of[name];
  if (name === "TypeMeta") return of;
  const wanted = name === "ObjectMeta" || name === "ListMeta" ? "metadata" : name.toLowerCase();
  const key = Object.keys(of).find((k) => k.toLowerCase() === wanted);
  return key === undefined ? undefined : of[key];
}
const fields = (of: Value, names: readonly string[]): Value => names.reduce(field, of);

const LONGEST = 1_000_000;

/** What a range goes over: the keys and values of a list or a map (by key), or the numbers below a number. */
function pairsOf(over: Value, line: number): [Value, Value][] {
  if (over === undefined || over === null) return [];
  if (Array.isArray(over)) return over.map((v, i) => [i, v]);
  if (isJsonMap(over)) return Object.keys(over).sort((a, b) => (a < b ? -1 : 1)).map((k) => [k, over[k]]); // prettier-ignore
  if (typeof over !== "number" || !Number.isInteger(over) || over > LONGEST) throw templateError(line, `range can't iterate over ${printed(over)}`);
  return Array.from({ length: Math.max(0, over) }, (_, i) => [i, i]);
}

class Run {
  readonly #template: Template;
  readonly #config: Call;
  #out: string[] = [];
  #depth = 0;
  constructor(template: Template, config: Call) {
    this.#template = template;
    this.#config = config;
  }
  text(data: Value): string {
    this.#list(this.#template.nodes, data, scopeOf(data));
    return this.#out.join("");
  }

  #list(nodes: readonly Node[], dot: Value, scope: Scope): void {
    for (const node of nodes) this.#node(node, dot, scope);
  }
  #node(node: Node, dot: Value, scope: Scope): void {
    switch (node.is) {
      case "text":
        return void this.#out.push(node.text);
      case "action": {
        const value = this.#pipe(node.pipe, dot, scope);
        if (node.pipe.variables.length === 0) this.#out.push(printed(value));
        return;
      }
      case "break":
      case "continue":
        throw new Leave(node.is);
      case "template":
        return this.#named(node.name, node.pipe && this.#pipe(node.pipe, dot, scope), node.line);
      case "range":
        return this.#range(node, dot, scope);
      case "if":
      case "with": {
        const inner = scope.inner();
        const value = this.#pipe(node.pipe, dot, inner);
        if (isTrue(value)) this.#list(node.body, node.is === "with" ? value : dot, inner);
        else this.#list(node.otherwise, dot, inner);
      }
    }
  }
  #named(name: string, data: Value, line: number): void {
    const nodes = this.#template.named.get(name);
    if (!nodes) throw templateError(line, `template ${JSON.stringify(name)} not defined`);
    if (++this.#depth > DEEPEST) throw templateError(line, `templates are nested deeper than ${DEEPEST}`);
    this.#list(nodes, data, scopeOf(data));
    this.#depth--;
  }
  #range(node: Extract<Node, { is: "if" | "range" | "with" }>, dot: Value, outer: Scope): void {
    const { variables, assigns, commands, line } = node.pipe;
    const scope = outer.inner();
    const over = this.#pipe({ variables: [], assigns: false, commands, line }, dot, scope);
    const pairs = pairsOf(over, line);
    if (pairs.length === 0) return this.#list(node.otherwise, dot, scope);
    for (const [key, value] of pairs) {
      const inner = scope.inner();
      const set = (name: string, v: Value): void => (assigns ? inner.assign(name, v, line) : inner.declare(name, v));
      const [first, second] = variables;
      if (second !== undefined) {
        set(first!, key);
        set(second, value);
      } else if (first !== undefined) set(first, value);
      try {
        this.#list(node.body, value, inner);
      } catch (thrown) {
        if (!(thrown instanceof Leave)) throw thrown;
        if (thrown.how === "break") return;
      }
    }
  }

  #pipe({ variables, assigns, commands, line }: Pipe, dot: Value, scope: Scope): Value {
    let value: Value;
    for (const [i, command] of commands.entries()) value = this.#command(command, dot, scope, i === 0 ? [] : [value], line);
    for (const name of variables) {
      if (assigns) scope.assign(name, value, line);
      else scope.declare(name, value);
    }
    return value;
  }
  #command(command: Command, dot: Value, scope: Scope, piped: readonly Value[], line: number): Value {
    const [first, ...rest] = command as [Argument, ...Argument[]];
    if (first.is !== "function") {
      if (rest.length > 0 || piped.length > 0) throw templateError(line, "can't give argument to non-function");
      return this.#value(first, dot, scope, line);
    }
    return this.#call(first.name, rest, dot, scope, piped, line);
  }
  #call(name: string, args: readonly Argument[], dot: Value, scope: Scope, piped: readonly Value[], line: number): Value {
    if (name === "and" || name === "or") {
      let value: Value;
      for (const a of [...args.map((x) => () => this.#value(x, dot, scope, line)), ...piped.map((v) => () => v)]) {
        value = a();
        if (isTrue(value) === (name === "or")) return value;
      }
      return value;
    }
    const call = name === "config" ? this.#config : FUNCTIONS.get(name);
    if (!call) throw templateError(line, `function ${JSON.stringify(name)} not defined`);
    const values = [...args.map((a) => this.#value(a, dot, scope, line)), ...piped];
    try {
      return call(...values);
    } catch (thrown) {
      throw templateError(line, messageOf(thrown));
    }
  }
  #value(argument: Argument, dot: Value, scope: Scope, line: number): Value {
    switch (argument.is) {
      case "value":
        return argument.value;
      case "dot":
        return fields(dot, argument.fields);
      case "variable":
        return fields(scope.get(argument.name, line), argument.fields);
      case "pipe":
        return fields(this.#pipe(argument.pipe, dot, scope.inner()), argument.fields);
      case "function":
        return this.#call(argument.name, [], dot, scope, [], line);
    }
  }
}

/** True when the template looks at fields of what it is given, as it does for one resource; else it ranges over all of them itself. */
const isForOne = (nodes: readonly Node[]): boolean => nodes.some((n) => "pipe" in n && n.pipe !== undefined && pipeUsesFields(n.pipe));
const pipeUsesFields = (pipe: Pipe): boolean =>
  pipe.commands.some((c) => c.some((a) => (a.is === "dot" && a.fields.length > 0) || (a.is === "pipe" && pipeUsesFields(a.pipe))));

/** The resources in an answer: those of a list, or itself. */
const resourcesIn = (answer: Value): Value[] => (isJsonMap(answer) && Array.isArray(answer.items) ? answer.items : [answer]);

/**
 * The text of a template over these answers, each a resource that was named, or a list of all. A template that does not speak of items is given those of
 * the lists; one that looks at fields at its top is executed for each. `settings` are the cluster's. Throws TortieError.
 */
export function renderTemplate(source: string, answers: readonly Value[], settings: { readonly asNumber: string }): string {
  const template = parseTemplate(source);
  const all = /\.items\b/i.test(source) ? answers : answers.flatMap(resourcesIn);
  const data: readonly Value[] = isForOne(template.nodes) ? all : [[...all]];
  return data.map((d) => new Run(template, configOf(settings)).text(d)).join("");
}
