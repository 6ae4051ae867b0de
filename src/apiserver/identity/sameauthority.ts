// Servers that share a store must have one certificate authority: what one signs, the others must take. The first one leaves the pin of its own there.
import { fromUtf8, utf8 } from "../../base/bytes.ts";
import { TortieError } from "../../base/errors.ts";
import type { Store } from "../../store/store.ts";
import type { Authority } from "./authority.ts";
import { pinOf } from "./token.ts";

const KEY = "/authority";

/** Throws TortieError when the other servers on the store have another authority. */
export async function sameAuthority(store: Store, authority: Pick<Authority, "caCertificate">): Promise<void> {
  const own = pinOf(authority.caCertificate);
  // The one that is refused finds who was quicker.
  await store.commit({ conditions: [{ key: KEY, revision: 0 }], writes: [{ key: KEY, value: utf8(own) }] });
  const held = await store.get(KEY);
  if (held && fromUtf8(held.value) !== own)
    throw new TortieError("Cannot share the store: its other servers have another certificate authority than this one", {
      hint: "Copy DIR/pki of one of them in the place of that in --data. Where all of them begin with a new one, remove the key /authority (behind --etcd-prefix) first.",
    });
}
