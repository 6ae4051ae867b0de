// A device's key log, line by line, as records: what one session needs to be opened.
import { toHex } from "../../base/bytes.ts";
import { type KeyLog, KeyLogReader } from "../../capture/keylog.ts";
import { nodeCrypto } from "../../crypto/node.ts";

/** Lines that belong together, and what a packet shows that they are for: the sender's ephemeral public key (hex), or a receiver index. */
export type KeyRecord = { readonly id: string | number; readonly lines: string };

export class RecordReader {
  #lines = "";

  /** Takes whole lines. A handshake's four (2.2) begin with the private and end with the pre-shared key; static keys without an ephemeral open nothing. */
  add(text: string): KeyRecord[] {
    const records: KeyRecord[] = [];
    for (const line of text.split("\n")) {
      if (line === "") continue;
      if (line.startsWith("WGX_SESSION_KEY")) {
        for (const receiver of logOf(line).sessionKeys.keys()) records.push({ id: receiver, lines: `${line}\n` });
        continue;
      }
      this.#lines = line.startsWith("LOCAL_STATIC_PRIVATE_KEY") ? `${line}\n` : `${this.#lines}${line}\n`;
      if (!line.startsWith("PRESHARED_KEY")) continue;
      const [ephemeral] = logOf(this.#lines).ephemerals;
      if (ephemeral) records.push({ id: toHex(nodeCrypto.publicKey(ephemeral.privateKey)), lines: this.#lines });
      this.#lines = "";
    }
    return records;
  }
}

function logOf(text: string): KeyLog {
  const reader = new KeyLogReader();
  reader.add(text);
  return reader.log;
}
