// Secrets for the commands: from files or standard input only, never from the command line, where every process of the machine could read them.
import { createReadStream } from "node:fs";
import { wipe } from "../../base/bytes.ts";
import { messageOf, TortieError } from "../../base/errors.ts";
import type { Inventory } from "../../capture/audit/inventory.ts";
import { type KeyLog, KeyLogReader, keyLogOf, keyLogText } from "../../capture/keylog.ts";
import type { SecretsBlock } from "../../capture/packet.ts";
import { Secrets } from "../../capture/secrets.ts";
import { nodeCrypto } from "../../crypto/node.ts";

const MAX_FILE = 16 << 20;

/** Reads a key file, or standard input for "-". Throws TortieError, which never holds a key. */
export async function readKeys(path: string): Promise<KeyLog> {
  if (/^[A-Za-z0-9+/_-]{43}=?$|^[0-9a-fA-F]{64}$/.test(path)) {
    throw new TortieError("Cannot take a key from the command line: other users of this machine can read it there", {
      hint: "Write it into a file (mode 0600) and give the file's name, or give - and the key on standard input. This one should be replaced.",
    });
  }
  // From here on there are keys in this process. Names such as /dev/fd/63 must go on working. Loaded here: who has no keys needs no foreign functions.
  const { forbidCores, forbidDumps } = await import("../../sys/protect.ts");
  if (process.geteuid?.() === 0) forbidDumps();
  else forbidCores();
  const pieces: Buffer[] = [];
  let size = 0;
  try {
    // What never ends (/dev/zero) must not fill the memory.
    for await (const piece of path === "-" ? process.stdin : createReadStream(path)) {
      pieces.push(piece as Buffer);
      if ((size += (piece as Buffer).length) > MAX_FILE)
        throw new TortieError(`Cannot read the keys "${path}": they are more than ${MAX_FILE} bytes`);
    }
    const bytes = Buffer.concat(pieces, size);
    const reader = new KeyLogReader();
    reader.add(keyLogText(bytes));
    wipe(bytes);
    return reader.log;
  } catch (e) {
    if (e instanceof TortieError) throw e;
    const code = (e as NodeJS.ErrnoException).code;
    const why = code === "ENOENT" ? "there is no such file" : code === "EISDIR" ? "it is a directory" : messageOf(e);
    throw new TortieError(`Cannot read the keys "${path}": ${why}`, { cause: e });
  } finally {
    wipe(...pieces);
  }
}

/** The secrets of a capture file's own key blocks and of key files together. */
export function secretsFrom(blocks: readonly SecretsBlock[], logs: readonly KeyLog[]): Secrets {
  const secrets = new Secrets(nodeCrypto);
  const own = keyLogOf(blocks);
  for (const log of [...logs, ...(own ? [own] : [])]) secrets.add(log);
  return secrets;
}

/** The inventory of an inventory file (as for `tortie audit`) or of the API; undefined when neither is asked for. Throws TortieError. */
export async function inventoryFrom(from: { inventory?: string; cluster?: boolean }): Promise<Inventory | undefined> {
  if (from.inventory === undefined && !from.cluster) return undefined;
  const { inventoryOfCluster, readInventory } = await import("../audit/inventory.ts");
  return from.inventory === undefined ? inventoryOfCluster() : readInventory(from.inventory);
}

/** Tells secrets the names of an inventory's nodes. */
export const namesOf =
  (inventory: Inventory) =>
  (secrets: Secrets): void => {
    for (const node of inventory.nodes) for (const key of node.publicKeys) secrets.addPublic(key, { name: node.name });
  };

/** Gives nodes' names to their public keys: from an inventory file (as for `tortie audit`), or from the API. Throws TortieError. */
export async function namesFrom(from: { inventory?: string; cluster?: boolean }): Promise<(secrets: Secrets) => void> {
  const inventory = await inventoryFrom(from);
  return inventory ? namesOf(inventory) : () => {};
}
