// The functions of Go's templates, and calicoctl's own: join, joinAndTruncate, config. https://pkg.go.dev/text/template#hdr-Functions
import { TortieError } from "../../../base/errors.ts";
import type { Value } from "./parse.ts";

const isList = (v: Value): v is Value[] => Array.isArray(v);
const isMap = (v: Value): v is { [key: string]: Value } => typeof v === "object" && v !== null && !Array.isArray(v);

/** False, 0, nothing, and what is empty, are not true. */
export const isTrue = (v: Value): boolean =>
  isList(v) ? v.length > 0 : isMap(v) ? Object.keys(v).length > 0 : v !== undefined && v !== null && v !== false && v !== 0 && v !== "";

/** A value as Go's fmt prints it (%v): lists as [a b], maps as map[a:1 b:2]. */
export function printed(v: Value): string {
  if (v === undefined || v === null) return "<no value>";
  if (isList(v)) return `[${v.map(printed).join(" ")}]`;
  if (!isMap(v)) return String(v);
  const keys = Object.keys(v).sort((a, b) => (a < b ? -1 : 1));
  return `map[${keys.map((k) => `${k}:${printed(v[k])}`).join(" ")}]`;
}

const fail = (name: string, why: string): never => {
  throw new TortieError(`error calling ${name}: ${why}`);
};

function compare(name: string, a: Value, b: Value): number {
  if (typeof a === "number" && typeof b === "number") return a - b;
  if (typeof a === "string" && typeof b === "string") return a < b ? -1 : a > b ? 1 : 0;
  return fail(name, "incompatible types for comparison");
}
function equal(a: Value, b: Value): boolean {
  if (typeof a === "object" && a !== null) return fail("eq", "non-comparable type");
  return (a ?? null) === (b ?? null);
}

/** Go's fmt.Sprintf with the verbs that fit these values: %s %v %d %q %t %f %g %e %x %X %c %%, with flags, width and precision. */
export function sprintf(format: string, values: readonly Value[]): string {
  let at = 0;
  const text = format.replace(
    /%([-+ 0#]*)([0-9]{1,4})?(?:\.([0-9]{1,3}))?(.)/gsu,
    (_, flags: string, width: string | undefined, precision: string | undefined, verb: string) => {
      if (verb === "%") return "%";
      if (at >= values.length) return `%!${verb}(MISSING)`;
      const value = values[at++];
      const body = formatted(verb, value, flags, precision === undefined ? undefined : Number(precision));
      const size = Number(width ?? 0);
      if (flags.includes("-")) return body.padEnd(size);
      if (!flags.includes("0") || !/^[-+]?[0-9]/.test(body)) return body.padStart(size);
      const [, sign = "", digits = ""] = /^([-+]?)(.*)$/s.exec(body)!;
      return sign + digits.padStart(size - sign.length, "0");
    },
  );
  const extra = values.slice(at);
  return extra.length === 0 ? text : `${text}%!(EXTRA ${extra.map((v) => `${goType(v)}=${printed(v)}`).join(", ")})`;
}
const goType = (v: Value): string =>
  typeof v === "string" ? "string" : typeof v === "boolean" ? "bool" : typeof v === "number" ? (Number.isInteger(v) ? "int" : "float64") : "map";

function formatted(verb: string, v: Value, flags: string, precision: number | undefined): string {
  const bad = (): string => `%!${verb}(${goType(v)}=${printed(v)})`;
  const signed = (text: string): string => (flags.includes("+") && !text.startsWith("-") ? `+${text}` : text);
  switch (verb) {
    case "s":
    case "v":
      return precision === undefined ? printed(v) : printed(v).slice(0, precision);
    case "q":
      return JSON.stringify(printed(v));
    case "t":
      return typeof v === "boolean" ? String(v) : bad();
    case "d":
      return typeof v === "number" && Number.isInteger(v) ? signed(String(v)) : bad();
    case "f":
      return typeof v === "number" ? signed(v.toFixed(precision ?? 6)) : bad();
    case "g":
      return typeof v === "number" ? signed(String(precision === undefined ? v : Number(v.toPrecision(Math.max(1, precision))))) : bad();
    case "e":
      return typeof v === "number" ? signed(v.toExponential(precision ?? 6).replace(/e([+-])([0-9])$/, "e$10$2")) : bad();
    case "x":
    case "X": {
      const text = typeof v === "number" && Number.isInteger(v) ? v.toString(16) : typeof v === "string" ? Buffer.from(v).toString("hex") : bad();
      return verb === "X" ? text.toUpperCase() : text;
    }
    case "c":
      return typeof v === "number" ? String.fromCodePoint(v) : bad();
    default:
      return bad();
  }
}

/** fmt.Sprint puts blanks between operands when neither is a string. */
function sprint(values: readonly Value[]): string {
  return values.map((v, i) => (i > 0 && typeof v !== "string" && typeof values[i - 1] !== "string" ? " " : "") + printed(v)).join("");
}

function index(value: Value, ...keys: Value[]): Value {
  let at = value;
  for (const key of keys) {
    if (isList(at)) {
      if (typeof key !== "number" || !Number.isInteger(key) || key < 0 || key >= at.length)
        return fail("index", `index out of range: ${printed(key)}`);
      at = at[key];
    } else if (isMap(at)) {
      at = typeof key === "string" && Object.hasOwn(at, key) ? at[key] : undefined;
    } else return fail("index", "cannot index what is neither a list nor a map");
  }
  return at;
}

function slice(value: Value, from: Value = 0, to?: Value): Value {
  if (typeof value !== "string" && !isList(value)) return fail("slice", "cannot slice what is neither a list nor a string");
  const end = to ?? value.length;
  const fits = typeof from === "number" && typeof end === "number" && from >= 0 && from <= end && end <= value.length;
  return fits ? value.slice(from, end) : fail("slice", "index out of range");
}

const length = (v: Value): number =>
  typeof v === "string" ? Buffer.byteLength(v) : isList(v) ? v.length : isMap(v) ? Object.keys(v).length : fail("len", "no length of this");

function join(items: Value, separator: Value = ","): string {
  if (items === undefined || items === null) return "";
  return isList(items) ? items.map(printed).join(printed(separator)) : fail("join", "the first argument must be a list");
}

const HTML: Readonly<Record<string, string>> = { "<": "&lt;", ">": "&gt;", "&": "&amp;", "'": "&#39;", '"': "&#34;" };
export type Call = (...values: Value[]) => Value;
/** `and` and `or` are not here: they look at their arguments one by one. */
export const FUNCTIONS: ReadonlyMap<string, Call> = new Map<string, Call>([
  ["not", (v) => !isTrue(v)],
  ["len", length],
  ["index", index],
  ["slice", slice],
  ["print", (...values) => sprint(values)],
  ["println", (...values) => `${values.map(printed).join(" ")}\n`],
  ["printf", (format, ...values) => sprintf(printed(format), values)],
  ["html", (...values) => sprint(values).replace(/[<>&'"]/g, (c) => HTML[c]!)],
  [
    "js",
    (...values) =>
      sprint(values)
        .replace(/[\\'"]/g, "\\$&")
        .replace(/[<>&=]|\p{Cc}/gu, (c) => `\\u${c.codePointAt(0)!.toString(16).toUpperCase().padStart(4, "0")}`),
  ],
  ["urlquery", (...values) => encodeURIComponent(sprint(values)).replaceAll("%20", "+")],
  ["eq", (a, ...others) => (others.length === 0 ? fail("eq", "missing argument for comparison") : others.some((b) => equal(a, b)))],
  ["ne", (a, b) => !equal(a, b)],
  ["lt", (a, b) => compare("lt", a, b) < 0],
  ["le", (a, b) => compare("le", a, b) <= 0],
  ["gt", (a, b) => compare("gt", a, b) > 0],
  ["ge", (a, b) => compare("ge", a, b) >= 0],
  ["join", join],
  [
    "joinAndTruncate",
    (items, separator, most) => {
      const text = join(items, separator);
      return typeof most === "number" && text.length > most ? `${text.slice(0, Math.max(0, most - 3))}...` : text;
    },
  ],
]);

/** The function of what is set for the whole cluster: `config "asnumber"`. */
export const configOf =
  (settings: { readonly asNumber: string }): Call =>
  (name) =>
    printed(name).toLowerCase() === "asnumber" ? settings.asNumber : fail("config", `unknown setting ${printed(name)}`);
