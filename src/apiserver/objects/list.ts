// Lists: at which version, in which pages. https://kubernetes.io/docs/reference/using-api/api-concepts/#retrieving-large-results-sets-in-chunks
import { apiVersionOf, type Kind } from "../../api/kind.ts";
import { badRequest, expired } from "../../api/status.ts";
import { CompactedError, type Stored } from "../../store/store.ts";
import { type ListMeta, listMeta } from "../wire/answer.ts";
import type { ApiRequest } from "../wire/request.ts";
import { invalidOption } from "./options.ts";
import { prefixOf, type Registry } from "./registry.ts";
import { storedList } from "./stored.ts";
import { countOf, reached, selectionOf, versionOf } from "./select.ts";

type Token = { readonly revision: number; /** Key after which the next page starts, relative to the collection. */ readonly start: string };

/** Behind a key: what is just after it. */
const AFTER = "\u0000";
const encodeToken = (t: Token): string =>
  Buffer.from(JSON.stringify({ v: "meta.k8s.io/v1", rv: t.revision, start: `/${t.start}${AFTER}` })).toString("base64url");

function decodeToken(text: string): Token {
  try {
    const t = JSON.parse(Buffer.from(text, "base64url").toString()) as { v?: unknown; rv?: unknown; start?: unknown };
    const whole = typeof t.start === "string" && t.start.length < 1024 && t.start.startsWith("/") && t.start.endsWith(AFTER) ? t.start : undefined;
    if (t.v === "meta.k8s.io/v1" && Number.isSafeInteger(t.rv) && whole !== undefined)
      return { revision: t.rv as number, start: whole.slice(1, -AFTER.length) };
  } catch {
    // Said below.
  }
  throw badRequest("invalid continue token: continue key is not valid: encoded start key is malformed");
}

const listInvalid = (field: string, message: string): Error => invalidOption("ListOptions", field, message);

export type Listed = { readonly items: Stored[]; readonly metadata: ListMeta };

/** The objects that are asked for. Throws ApiError. */
export async function list(registry: Registry, kind: Kind, namespace: string, request: Pick<ApiRequest, "query" | "signal">): Promise<Listed> {
  const { store } = registry;
  const { query } = request;
  const selection = selectionOf(kind, query);
  const version = versionOf(query);
  const match = query.get("resourceVersionMatch") ?? "";
  const token = query.get("continue") ? decodeToken(query.get("continue")!) : undefined;
  if (query.has("sendInitialEvents")) throw listInvalid("sendInitialEvents", "Forbidden: sendInitialEvents is forbidden for list");
  if (match !== "" && version === undefined)
    throw listInvalid("resourceVersionMatch", "Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided");
  if (match !== "" && token) throw listInvalid("resourceVersionMatch", "Forbidden: resourceVersionMatch is forbidden when continue is provided");
  if (match !== "" && match !== "Exact" && match !== "NotOlderThan")
    throw listInvalid("resourceVersionMatch", `Unsupported value: ${JSON.stringify(match)}: supported values: "Exact", "NotOlderThan"`);
  if (match === "Exact" && version === 0)
    throw listInvalid("resourceVersionMatch", 'Forbidden: resourceVersionMatch "exact" is forbidden for resourceVersion "0"');
  if (token && version !== undefined && version !== 0) throw badRequest("specifying resource version is not allowed when using continue");
  // "Any version will do" is answered whole: nobody pages through a cache.
  const limit = version === 0 && !token ? undefined : countOf(query, "limit");
  if (version !== undefined) await reached(store, version, request);
  const continued = token && token.revision >= 0 ? token.revision : undefined;
  if (continued !== undefined && continued > store.revision) await store.sync();
  if (continued !== undefined && continued > store.revision) throw badRequest("invalid continue token: it is of a version that does not exist");
  // What is "any version" or "this one or newer" is answered from what this server has; without a version it is the newest, whoever wrote it.
  const at = continued ?? (match === "Exact" ? version : version !== undefined && !token ? store.revision : undefined);

  const prefix = prefixOf(kind, namespace);
  const startAfter = token ? prefix + token.start : undefined;
  let range;
  try {
    range = await store.range(prefix, {
      ...(at === undefined ? {} : { atRevision: at }),
      ...(startAfter === undefined ? {} : { startAfter }),
      ...(limit && !selection.narrow ? { limit } : {}),
    });
  } catch (thrown) {
    if (!(thrown instanceof CompactedError)) throw thrown;
    if (!token) throw expired("The resourceVersion for the provided list is too old.");
    throw expired(
      "The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.",
      encodeToken({ revision: -1, start: token.start }),
    );
  }
  const items: Stored[] = [];
  let more = range.remaining > 0;
  for (const stored of range.items) {
    if (selection.narrow && !selection.matches(registry.decode(kind, stored.value, stored.revision))) continue;
    if (limit && items.length === limit) {
      more = true;
      break;
    }
    items.push(stored);
  }
  const metadata: ListMeta = { resourceVersion: String(range.revision) };
  if (more) metadata.continue = encodeToken({ revision: range.revision, start: items.at(-1)!.key.slice(prefix.length) });
  if (more && !selection.narrow) metadata.remainingItemCount = range.remaining;
  return { items, metadata };
}

/** The last list of each registry: as long as somebody is being sent it, others who ask for the same get the same bytes. */
const latest = new WeakMap<Registry, { readonly asked: string; readonly body: WeakRef<Uint8Array> }>();

/** The JSON of what `list` found for `request`. */
export function listBody(registry: Registry, kind: Kind, namespace: string, request: ApiRequest, { items, metadata }: Listed): Uint8Array {
  const asked = `${prefixOf(kind, namespace)} ${apiVersionOf(kind)} ${metadata.resourceVersion} ${request.query.toString()}`;
  const known = latest.get(registry);
  const same = known?.asked === asked ? known.body.deref() : undefined;
  if (same) return same;
  const body = storedList(registry, kind, items, listMeta(kind, metadata));
  latest.set(registry, { asked, body: new WeakRef(body) });
  return body;
}
