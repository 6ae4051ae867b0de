// Label selectors, as in ?labelSelector=: k=v, k==v, k!=v, k in (a,b), k notin (a), k, !k, k>1, k<1; a comma means "and".
// https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/

export type Labels = Readonly<Record<string, string>>;
/** True when an object with these labels is selected. */
export type LabelSelector = (labels: Labels | undefined) => boolean;

/** The words of the API server's answer to a selector that it cannot read. */
export class SelectorError extends Error {}

const TOKEN = /\s*(?:(!=|==|=|!|,|\(|\)|>|<)|([^\s!=,()<>]+))/y;

function tokens(text: string): string[] {
  const out: string[] = [];
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < text.trimEnd().length) {
    const m = TOKEN.exec(text);
    if (!m) throw new SelectorError(`unable to parse requirement: invalid selector ${JSON.stringify(text)}`);
    out.push((m[1] ?? m[2])!);
  }
  return out;
}

/** Its own: every object has a "constructor". */
const labelOf = (labels: Labels | undefined, key: string): string | undefined =>
  labels !== undefined && Object.hasOwn(labels, key) ? labels[key] : undefined;

const isWord = (t: string | undefined): t is string => t !== undefined && !/^[!=,()<>]/.test(t);
const NAME = /^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$/;

function key(t: string | undefined): string {
  if (!isWord(t)) throw new SelectorError(`unable to parse requirement: found '${t ?? ""}', expected: identifier`);
  const name = t.slice(t.indexOf("/") + 1);
  if (name.length > 63 || !NAME.test(name) || t.split("/").length > 2)
    throw new SelectorError(
      `unable to parse requirement: <nil>: Invalid value: ${JSON.stringify(t)}: name part must consist of alphanumeric characters, '-', '_' or '.'`,
    );
  return t;
}

/** Throws SelectorError. The empty text selects everything. */
export function parseLabelSelector(text: string): LabelSelector {
  const t = tokens(text);
  const requirements: LabelSelector[] = [];
  let i = 0;
  while (i < t.length) {
    if (t[i] === "!") {
      const k = key(t[i + 1]);
      requirements.push((l) => labelOf(l, k) === undefined);
      i += 2;
    } else {
      const k = key(t[i++]);
      const operator = t[i] ?? ",";
      if (operator === ",") requirements.push((l) => labelOf(l, k) !== undefined);
      else {
        i++;
        if (operator === "in" || operator === "notin") {
          const values = new Set<string>();
          if (t[i++] !== "(") throw new SelectorError(`unable to parse requirement: found '${t[i - 1] ?? ""}', expected: '('`);
          // An empty value is allowed: `k in (,)`.
          let expectValue = true;
          for (; t[i] !== ")"; i++) {
            if (t[i] === undefined) throw new SelectorError("unable to parse requirement: found '', expected: ',', or identifier");
            if (t[i] === ",") {
              if (expectValue) values.add("");
              expectValue = true;
            } else {
              values.add(t[i]!);
              expectValue = false;
            }
          }
          if (expectValue) values.add("");
          i++;
          const wanted = operator === "in";
          requirements.push((l) => {
            const have = labelOf(l, k);
            return have === undefined ? !wanted : values.has(have) === wanted;
          });
        } else if (operator === "=" || operator === "==" || operator === "!=") {
          const value = isWord(t[i]) ? t[i++]! : "";
          const wanted = operator !== "!=";
          requirements.push((l) => {
            const have = labelOf(l, k);
            return have === undefined ? !wanted : (have === value) === wanted;
          });
        } else if (operator === ">" || operator === "<") {
          const text = t[i++];
          if (text === undefined || !/^-?[0-9]{1,15}$/.test(text))
            throw new SelectorError(
              `unable to parse requirement: values[0][${k}]: Invalid value: ${JSON.stringify(text ?? "")}: for 'Gt', 'Lt' operators, the value must be an integer`,
            );
          const limit = Number(text);
          requirements.push((l) => {
            const have = labelOf(l, k);
            return have !== undefined && /^-?[0-9]{1,15}$/.test(have) && (operator === ">" ? Number(have) > limit : Number(have) < limit);
          });
        } else throw new SelectorError(`unable to parse requirement: found '${operator}', expected: in, notin, =, ==, !=, gt, lt`);
      }
    }
    if (i >= t.length) break;
    if (t[i] !== ",") throw new SelectorError(`unable to parse requirement: found '${t[i]}', expected: ',' or 'end of string'`);
    if (++i >= t.length) throw new SelectorError("unable to parse requirement: found '', expected: identifier after ','");
  }
  return (labels) => requirements.every((r) => r(labels));
}
