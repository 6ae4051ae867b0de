// Handles: who holds addresses in which blocks, so that they can be released without a search. Counted up before the block is written and down
// after it, so that whatever a crash leaves behind is still found by its handle.
import { IPAM_HANDLE, type IPAMHandle } from "../../api/ipamhandle.ts";
import { apiVersionOf } from "../../api/kind.ts";
import { isAlreadyExists, isConflict, isNotFound } from "../../client/error.ts";
import { find } from "../../client/find.ts";
import type { Client } from "../../client/types.ts";

/** Resource name of a handle. */
export const handleName = (handle: string): string => handle.toLowerCase();

export const getHandle = (client: Client, handle: string): Promise<IPAMHandle | undefined> => find(client, IPAM_HANDLE, handleName(handle));

/** Changes the count of one block by `by`; a count of 0 drops the block, a handle without blocks is deleted. */
export async function countHandle(client: Client, handle: string, cidr: string, by: number): Promise<void> {
  for (;;) {
    const found = await getHandle(client, handle);
    const count = Math.max(0, (found?.spec.block[cidr] ?? 0) + by);
    try {
      if (!found) {
        if (count > 0) await client.create(IPAM_HANDLE, newHandle(handle, { [cidr]: count }));
        return;
      }
      const { [cidr]: _, ...others } = found.spec.block;
      const block = count > 0 ? { ...others, [cidr]: count } : others;
      if (Object.keys(block).length > 0) await client.update(IPAM_HANDLE, { ...found, spec: { ...found.spec, block } });
      else
        await client.delete(
          IPAM_HANDLE,
          found.metadata.name,
          found.metadata.resourceVersion ? { resourceVersion: found.metadata.resourceVersion } : {},
        );
      return;
    } catch (thrown) {
      // Somebody else wrote it in between: count from what is there now.
      if (!isConflict(thrown) && !isAlreadyExists(thrown) && !isNotFound(thrown)) throw thrown;
    }
  }
}

const newHandle = (handle: string, block: Record<string, number>): IPAMHandle => ({
  apiVersion: apiVersionOf(IPAM_HANDLE),
  kind: IPAM_HANDLE.kind,
  metadata: { name: handleName(handle) },
  spec: { handleID: handle, block, deleted: false },
});
