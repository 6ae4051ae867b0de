// One packet as the viewer shows it: its line, its tree, its bytes; each is made when it is asked for.
import { type Context, Dissection } from "../../capture/dissect.ts";
import { linesOf, type PacketLines } from "../../capture/summary.ts";
import type { TrackedPacket } from "../../capture/tracked.ts";
import type { TreeNode } from "../../capture/tree.ts";

export type BytesPane = ReturnType<Dissection["panes"]>[number];

export class Look {
  readonly tracked: TrackedPacket;
  readonly #dissection: Dissection;
  #lines: PacketLines | undefined;
  #tree: readonly TreeNode[] | undefined;
  #panes: readonly BytesPane[] | undefined;

  constructor(tracked: TrackedPacket, context: Context) {
    this.tracked = tracked;
    this.#dissection = new Dissection(tracked, context);
  }
  get lines(): PacketLines {
    return (this.#lines ??= linesOf(this.tracked, this.#dissection));
  }
  get tree(): readonly TreeNode[] {
    return (this.#tree ??= this.#dissection.tree());
  }
  get panes(): readonly BytesPane[] {
    return (this.#panes ??= this.#dissection.panes());
  }
}
