// An object as it stands in the store: JSON without its resourceVersion, which is the store's revision. It begins with apiVersion, kind and metadata, so
// that it goes out by putting the version in, without being parsed.
import { apiVersionOf, type Kind } from "../../api/kind.ts";
import type { Resource } from "../../api/meta.ts";
import { fromUtf8, utf8 } from "../../base/bytes.ts";
import type { Stored } from "../../store/store.ts";

const heads = new Map<Kind, Uint8Array>();
/** What every object of `kind` begins with; metadata is never empty: it has a name. */
function headOf(kind: Kind): Uint8Array {
  let head = heads.get(kind);
  if (!head) heads.set(kind, (head = utf8(`{"apiVersion":${JSON.stringify(apiVersionOf(kind))},"kind":${JSON.stringify(kind.kind)},"metadata":{`)));
  return head;
}

export function encodeStored(object: Resource): Uint8Array {
  const { apiVersion, kind, metadata, ...rest } = object;
  const { resourceVersion: _rv, ...kept } = metadata;
  return utf8(JSON.stringify({ apiVersion, kind, metadata: kept, ...rest }));
}

/** The object in a value of the store, as it was at `revision`. */
export function decodeStored(kind: Kind, value: Uint8Array, revision: number): Resource {
  const stored = JSON.parse(fromUtf8(value)) as Resource;
  return { ...stored, apiVersion: apiVersionOf(kind), kind: kind.kind, metadata: { ...stored.metadata, resourceVersion: String(revision) } };
}

type Version = Pick<Stored, "value" | "revision">;
/** The JSON of an object, in parts that belong one after the other; `version` is of ASCII. */
type Parts = { readonly head: Uint8Array; readonly version: string; readonly rest: Uint8Array };
const NONE = new Uint8Array();

/** How an object is read that does not begin so: something else wrote it, or it is kept as another kind. */
type Decoder = { readonly decode: (kind: Kind, value: Uint8Array, revision: number) => Resource };

function partsOf(decoder: Decoder, kind: Kind, { value, revision }: Version): Parts {
  const head = headOf(kind);
  for (let i = 0; i < head.length; i++)
    if (value[i] !== head[i]) return { head: utf8(JSON.stringify(decoder.decode(kind, value, revision))), version: "", rest: NONE };
  return { head, version: `"resourceVersion":"${revision}",`, rest: value.subarray(head.length) };
}
const lengthOf = ({ head, version, rest }: Parts): number => head.length + version.length + rest.length;
function put(out: Buffer, at: number, { head, version, rest }: Parts): number {
  out.set(head, at);
  out.write(version, at + head.length, "latin1");
  out.set(rest, at + head.length + version.length);
  return at + lengthOf({ head, version, rest });
}

/** The JSON of one object between `before` and `after`, which are of ASCII. */
export function storedText(decoder: Decoder, kind: Kind, stored: Version, before: string, after: string): Buffer {
  const parts = partsOf(decoder, kind, stored);
  const out = Buffer.allocUnsafe(before.length + lengthOf(parts) + after.length);
  out.write(before, 0, "latin1");
  out.write(after, put(out, before.length, parts), "latin1");
  return out;
}

const COMMA = 0x2c;

/** The JSON of a list of objects: `metadata` is the list's. */
export function storedList(decoder: Decoder, kind: Kind, items: readonly Stored[], metadata: object): Buffer {
  const open = utf8(
    `{"kind":${JSON.stringify(`${kind.kind}List`)},"apiVersion":${JSON.stringify(apiVersionOf(kind))},"metadata":${JSON.stringify(metadata)},"items":[`,
  );
  const all = items.map((item) => partsOf(decoder, kind, item));
  const between = Math.max(0, all.length - 1);
  const out = Buffer.allocUnsafe(open.length + all.reduce((n, p) => n + lengthOf(p), 0) + between + 2);
  out.set(open);
  let at = open.length;
  for (const [i, parts] of all.entries()) {
    if (i > 0) out[at++] = COMMA;
    at = put(out, at, parts);
  }
  out.write("]}", at, "latin1");
  return out;
}
