// What the suites of stores share: how a store is made for them, and writes in one line.
import { utf8 } from "../base/bytes.ts";
import type { Committed, Store } from "./store.ts";

/** A fresh, empty store. `reopen` closes it and opens it again over the same data (absent: it keeps none). `done` removes what it left. */
export type Opened = { readonly store: Store; readonly reopen?: () => Promise<Store>; readonly done: () => Promise<void> };
export type MakeStore = () => Promise<Opened>;

export const put = (store: Store, key: string, value: string, revision?: number): Promise<Committed> =>
  store.commit({ conditions: revision === undefined ? [] : [{ key, revision }], writes: [{ key, value: utf8(value) }] });
export const remove = (store: Store, key: string, revision?: number): Promise<Committed> =>
  store.commit({ conditions: revision === undefined ? [] : [{ key, revision }], writes: [{ key, value: undefined }] });
/** The revision of a transaction that must have been done. */
export function doneAt(c: Committed): number {
  if (!c.done) throw new Error(`refused because of ${c.key}`);
  return c.revision;
}
