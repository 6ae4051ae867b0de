// One packet as a viewer shows it: its line, its tree, its bytes; each is made when it is asked for.
import { type Context, Dissection } from "./dissect.ts";
import { linesOf, type PacketLines } from "./summary.ts";
import type { TrackedPacket } from "./tracked.ts";
import type { TreeNode } from "./tree.ts";

/** Bytes that fields lie in (TreeNode.pane, .at, .length): the frame, and what was put together or opened of it. */
export type BytesPane = ReturnType<Dissection["panes"]>[number];

/** A packet with all that can be shown of it, in memory of its own. */
export class Look {
  /** Its messages, their sessions, what was opened. */
  readonly tracked: TrackedPacket;
  readonly #dissection: Dissection;
  #lines: PacketLines | undefined;
  #tree: readonly TreeNode[] | undefined;
  #panes: readonly BytesPane[] | undefined;

  constructor(tracked: TrackedPacket, context: Context) {
    this.tracked = tracked;
    this.#dissection = new Dissection(tracked, context);
  }
  /** Wireshark's columns, of the frame and of what is inside. */
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
