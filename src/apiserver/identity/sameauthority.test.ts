import { expect, test } from "vitest";
import { memoryStore } from "../../store/memory.ts";
import { newAuthority } from "./authority.ts";
import { sameAuthority } from "./sameauthority.ts";

const fresh = (): { caCertificate: string } => ({ caCertificate: newAuthority(Date.now()).certificate });

test("the first server's authority is that of all: the same one is taken again, another is refused", async () => {
  const store = memoryStore(Date.now);
  const authority = fresh();
  await sameAuthority(store, authority);
  await sameAuthority(store, authority);
  await expect(sameAuthority(store, fresh())).rejects.toThrow(
    "Cannot share the store: its other servers have another certificate authority than this one",
  );
});

test("of two that begin at once one is refused", async () => {
  const store = memoryStore(Date.now);
  const outcomes = await Promise.allSettled([sameAuthority(store, fresh()), sameAuthority(store, fresh())]);
  expect(outcomes.map((o) => o.status).toSorted()).toEqual(["fulfilled", "rejected"]);
});
