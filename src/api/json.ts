// JSON (RFC 8259) as an API server must read it: the keys that a body gives twice, a limit on nesting, no key that could become a prototype, and no number
// that would come back as another one. The values themselves are JSON.parse's; this file only walks the text beside it.

export type JsonValue = null | boolean | number | string | JsonValue[] | { [key: string]: JsonValue };
export type JsonObject = { [key: string]: JsonValue };

/** Deeper bodies are refused: everything that walks a value may then recurse. */
export const MAX_DEPTH = 64;

export type Parsed = {
  readonly value: JsonValue;
  /** Paths of keys that stand twice in one object, such as spec.cidr. */ readonly duplicates: readonly string[];
};

/** A number that would come back as another one: whole and beyond 2^53, where not all of them exist, or beyond every number that exists. */
export class InexactNumber extends SyntaxError {
  /** Path of the number, such as spec.x[0]. */
  readonly field: string;
  constructor(field: string, text: string) {
    super(
      `Invalid value: ${text}: whole numbers are kept exactly from -${Number.MAX_SAFE_INTEGER} to ${Number.MAX_SAFE_INTEGER}; write it as a text`,
    );
    this.field = field;
  }
}

/** Parses `text`. Throws SyntaxError (malformed, nested too deep, or a key "__proto__"), of numbers InexactNumber. */
export function parseJson(text: string): Parsed {
  const value = JSON.parse(checkDepth(text)) as JsonValue;
  return { value, duplicates: text.length > 0 ? duplicateKeys(text) : [] };
}

function checkDepth(text: string): string {
  let depth = 0;
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c === 34) i = endOfString(text, i);
    else if (c === 123 || c === 91) {
      if (++depth > MAX_DEPTH) throw new SyntaxError(`nested deeper than ${MAX_DEPTH} levels`);
    } else if (c === 125 || c === 93) depth--;
  }
  return text;
}

/** Index of the quote that closes the string opened at `start` (or the end of the text). */
function endOfString(text: string, start: number): number {
  for (let i = start + 1; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c === 92) i++;
    else if (c === 34) return i;
  }
  return text.length;
}

type Frame = { path: string; keys: Set<string> | undefined; index: number };

/** Throws InexactNumber. What has a point or an exponent is as near as numbers get, as in every reader of JSON. */
function checkNumber(text: string, path: string): void {
  const value = Number(text);
  if (/[.eE]/.test(text) ? !Number.isFinite(value) : !Number.isSafeInteger(value)) throw new InexactNumber(path, text.slice(0, 40));
}

/** Index behind the number that begins at `start`. */
function endOfNumber(text: string, start: number): number {
  let i = start + 1;
  // Digits, sign, point, exponent.
  while (i < text.length && "0123456789+-.eE".includes(text.charAt(i))) i++;
  return i;
}

// `text` is known to be valid JSON here, so a string followed by a colon is a key.
function duplicateKeys(text: string): string[] {
  const found: string[] = [];
  const stack: Frame[] = [];
  let member = "";
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    const top = stack.at(-1);
    if (c === 34) {
      const end = endOfString(text, i);
      if (top?.keys && isKey(text, end + 1)) {
        const key = JSON.parse(text.slice(i, end + 1)) as string;
        if (key === "__proto__") throw new SyntaxError('the key "__proto__" is not allowed');
        member = child(top.path, key);
        if (top.keys.has(key) && found.length < 100) found.push(member);
        top.keys.add(key);
      }
      i = end;
    } else if (c === 123 || c === 91) {
      stack.push({ path: placeIn(top, member), keys: c === 123 ? new Set() : undefined, index: 0 });
    } else if (c === 125 || c === 93) stack.pop();
    else if (c === 44 && top) top.index++;
    else if (c === 45 || (c >= 48 && c <= 57)) {
      const end = endOfNumber(text, i);
      checkNumber(text.slice(i, end), placeIn(top, member));
      i = end - 1;
    }
  }
  return found;
}

/** Path of the value that stands in `frame` now; `member` is the path of its last key. */
const placeIn = (frame: Frame | undefined, member: string): string =>
  frame === undefined ? "" : frame.keys ? member : `${frame.path}[${frame.index}]`;

function isKey(text: string, from: number): boolean {
  let i = from;
  while (i < text.length && (text.charCodeAt(i) === 32 || (text.charCodeAt(i) >= 9 && text.charCodeAt(i) <= 13))) i++;
  return text.charCodeAt(i) === 58;
}

/** "spec" + "cidr" → "spec.cidr". */
export const child = (path: string, key: string): string => (path === "" ? key : `${path}.${key}`);

export const isObject = (value: unknown): value is JsonObject => typeof value === "object" && value !== null && !Array.isArray(value);

/** Deep equality of JSON values; the order of keys does not matter. */
export function sameJson(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (Array.isArray(a)) return Array.isArray(b) && a.length === b.length && a.every((x, i) => sameJson(x, b[i]));
  if (!isObject(a) || !isObject(b)) return false;
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((k) => Object.hasOwn(b, k) && sameJson(a[k], b[k]));
}

/** A deep copy without shared parts. */
export function copyJson<T>(value: T): T {
  if (Array.isArray(value)) return value.map(copyJson) as T;
  if (!isObject(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, copyJson(v)])) as T;
}
