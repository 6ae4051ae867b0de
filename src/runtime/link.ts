// The device's link as it is now, in the network namespace where it is now: it may be renamed, moved or deleted by anyone.
import { type LinkState, LinkWatch } from "../sys/link.ts";
import { tunName } from "../sys/tun.ts";
import { Mail } from "./mailbox.ts";

export class Link {
  readonly #tun: number;
  readonly #watch: LinkWatch;

  /** Puts the descriptor to watch for changes into the mailbox of the first worker, which watches it. Throws SysError. */
  constructor(tunFd: number, mails: readonly Int32Array[]) {
    this.#tun = tunFd;
    this.#watch = new LinkWatch(tunFd);
    Atomics.store(mails[0]!, Mail.LINK, this.#watch.changes);
  }

  /** For a link of our own making. Throws SysError. */
  prepare(mtu: number, queue: number): void {
    const name = tunName(this.#tun);
    if (name === undefined) return;
    this.#watch.setMtu(name, mtu);
    this.#watch.setQueue(name, queue);
  }

  state(): LinkState | "deleted" {
    return this.#watch.state();
  }

  /** It was in another namespace when it was last looked at: no word of its changes comes, so look again and again. */
  get away(): boolean {
    return this.#watch.away;
  }

  close(): void {
    this.#watch.close();
  }
}
