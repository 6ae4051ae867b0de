// The capture that the viewer shows, with what only a terminal tells of it: its name, how far opening is, rates.
import { CaptureDocument, type DocumentOptions } from "../../capture/document.ts";
import type { Inventory } from "../../capture/audit/inventory.ts";
import { Conversations } from "../../capture/conversations.ts";
import { FollowedStream } from "../../capture/follow.ts";
import type { Scan } from "../../capture/scan.ts";
import type { KeyLog } from "../../capture/keylog.ts";
import { Audited } from "./audited.ts";
import type { Progress, Rates, World } from "./world.ts";

type Walk<T> = { readonly found: T; readonly scan: Scan };

export class ViewedCapture extends CaptureDocument implements World {
  readonly name: string;
  progress: Progress | undefined;
  rates: Rates | undefined;
  dropped: number | undefined;

  #conversations: Walk<Conversations> | undefined;
  readonly #inventory: Inventory | undefined;
  #audit: Walk<Audited> | undefined;
  #stream: Walk<FollowedStream> | undefined;
  /** Keys came since the walks began. */
  #stale = false;
  /** Times that keys came. */
  changes = 0;

  /** `inventory`: what is audited by. */
  constructor(name: string, options: DocumentOptions, inventory?: Inventory) {
    super(options);
    this.#inventory = inventory;
    this.name = name;
  }
  /** Begun by who asks first. */
  get conversations(): Conversations {
    this.#conversations ??= this.#collected();
    return this.#conversations.found;
  }
  #collected(): Walk<Conversations> {
    const found = new Conversations();
    return { found, scan: this.walk(true, (t) => found.add(t)) };
  }
  get audit(): Audited | undefined {
    if (this.#inventory) this.#audit ??= this.#audited(this.#inventory);
    return this.#audit?.found;
  }
  #audited(inventory: Inventory): Walk<Audited> {
    const found = new Audited(this.name, inventory, this.secrets.openData ? this.secrets : undefined);
    return { found, scan: this.walk(false, (t) => found.add(t)) };
  }
  get stream(): FollowedStream | undefined {
    return this.#stream?.found;
  }
  /** Follows a flow, by flowKey(). */
  follow(key: string): void {
    const found = new FollowedStream(key);
    this.#stream = { found, scan: this.walk(true, (t) => found.add(t)) };
  }
  get walking(): boolean {
    return this.#walks.some((w) => !w.scan.isDone);
  }
  get #walks(): readonly Walk<unknown>[] {
    return [this.#stream, this.#conversations, this.#audit].filter((w) => w !== undefined);
  }
  override searchOn(enough?: () => boolean): boolean {
    if (super.searchOn(enough)) return true;
    for (const { scan } of this.#walks) if (scan.on(enough ?? (() => false))) return true;
    // Keys came: more is open now. Not before all were through, or keys that come often would never let them be.
    if (!this.#stale) return false;
    this.#stale = false;
    if (this.#conversations) this.#conversations = this.#collected();
    if (this.#audit) this.#audit = undefined;
    if (this.#stream) this.follow(this.#stream.found.key);
    return this.#walks.length > 0;
  }

  override addKeys(log: KeyLog): void {
    super.addKeys(log);
    this.#stale = true;
    this.changes++;
  }
}
