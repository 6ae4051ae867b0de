// Where the store's keys are in etcd: all begin with one prefix ("/tortie"), so that a role can be given just them and other programs' keys are not met.
import type { Stored } from "../store.ts";
import type { Member } from "./member.ts";
import { endOf, type Header, type KeyValue, RANGE } from "./rpc.ts";

/** Keys asked for at once. */
const PAGE = 1000;

export class Keyspace {
  readonly #prefix: string;
  /** All keys: from `key` to before `rangeEnd`. */
  readonly key: Buffer;
  readonly rangeEnd: Uint8Array;
  readonly #skip: number;

  /** `prefix` does not end with a slash; the store's keys begin with one. */
  constructor(prefix: string) {
    this.#prefix = prefix;
    this.key = Buffer.from(`${prefix}/`);
    this.#skip = this.key.length - 1;
    this.rangeEnd = endOf(this.key);
  }

  /** etcd's key of the store's key. */
  bytes(key: string): Buffer {
    return Buffer.from(this.#prefix + key);
  }
  /** The store's key of etcd's. */
  text(key: Buffer): string {
    return key.toString("utf8", this.#skip);
  }

  /** The value is copied: what gRPC gives is a view of the whole message. */
  stored(kv: KeyValue): Stored {
    return { key: this.text(kv.key), value: new Uint8Array(kv.value), revision: kv.modRevision };
  }

  /** The newest revision that any member has answered with, and of which cluster. Throws EtcdError. */
  async newest(member: Member): Promise<Header> {
    const { header } = await member.call(RANGE, { key: this.key, countOnly: true });
    return header!;
  }

  /** Everything, at the newest revision. Throws EtcdError. */
  async load(member: Member): Promise<{ items: Stored[]; revision: number }> {
    const items: Stored[] = [];
    let revision = 0;
    for (let { key } = this; ;) {
      const page = await member.call(RANGE, { key, rangeEnd: this.rangeEnd, limit: PAGE, revision });
      revision ||= page.header!.revision;
      for (const kv of page.kvs) items.push(this.stored(kv));
      if (!page.more) return { items, revision };
      key = this.bytes(`${items.at(-1)!.key}\0`);
    }
  }
}
