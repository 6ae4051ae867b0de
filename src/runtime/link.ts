// The device's link as it is now, in the network namespace where it is now: it may be renamed, moved or deleted by anyone.
import { type LinkState, LinkWatch } from "../sys/link.ts";
import { tunName } from "../sys/tun.ts";
import { announceDescriptors } from "./dataworker.ts";
import { Mail } from "./plan.ts";

export class Link {
  readonly #tun: number;
  readonly #mail: Int32Array;
  #watch: LinkWatch;

  /** Puts the descriptor to watch for changes into the mailbox. Throws SysError. */
  constructor(tunFd: number, mail: Int32Array) {
    this.#tun = tunFd;
    this.#mail = mail;
    this.#watch = new LinkWatch(tunFd);
    Atomics.store(mail, Mail.LINK, this.#watch.changes);
  }

  /** For a link of our own making. Throws SysError. */
  prepare(mtu: number, queue: number): void {
    const name = tunName(this.#tun);
    if (name === undefined) return;
    this.#watch.setMtu(name, mtu);
    this.#watch.setQueue(name, queue);
  }

  state(): LinkState | "deleted" {
    for (;;) {
      const name = tunName(this.#tun);
      if (name === undefined) return "deleted";
      const state = this.#watch.state(name);
      if (state) return state;
      this.#follow();
      const there = this.#watch.state(name);
      if (there) return there;
      // It was renamed, moved or deleted again in between.
    }
  }

  #follow(): void {
    const old = this.#watch;
    this.#watch = new LinkWatch(this.#tun);
    Atomics.store(this.#mail, Mail.LINK, this.#watch.changes);
    if (announceDescriptors(this.#mail)) old.close();
  }

  close(): void {
    this.#watch.close();
  }
}
