// With keys at hand, what goes as data is really opened (section 7.6): its tag verifies, and the packet in it comes from where its sender may send from.
import { contains } from "../../base/cidr.ts";
import { formatIp } from "../../base/ip.ts";
import { decodeIp } from "../../packet/decode.ts";
import type { Crypto } from "../../wireguard/crypto.ts";
import { Data } from "../../wireguard/messages.ts";
import type { DataMessage, InitiationMessage, ResponseMessage } from "../message.ts";
import { openData, type ReplayedInitiation, replayInitiation, replayResponse } from "../replay.ts";
import type { Secrets } from "../secrets.ts";
import type { AuditNode } from "./inventory.ts";

const MAX_SESSIONS = 65_536;

export class Opener {
  readonly #crypto: Crypto;
  readonly #secrets: Secrets;
  readonly #begun = new Map<number, { readonly message: InitiationMessage; readonly replayed: ReplayedInitiation }>();
  readonly #keys = new Map<number, Uint8Array[]>();

  constructor(crypto: Crypto, secrets: Secrets) {
    this.#crypto = crypto;
    this.#secrets = secrets;
  }

  /** Follows a handshake message whose mac1 has verified. */
  handshake(m: InitiationMessage | ResponseMessage): void {
    if (this.#begun.size >= MAX_SESSIONS || this.#keys.size >= MAX_SESSIONS) return;
    if (m.type === 1) {
      const bytes = new Uint8Array(m.bytes);
      // The capture's bytes do not stay; the fields are views of them.
      const message: InitiationMessage = { ...m, bytes, ephemeral: new Uint8Array(m.ephemeral) };
      const replayed = replayInitiation(this.#crypto, message, this.#secrets, this.#secrets.addressee(message));
      if (replayed) this.#begun.set(m.sender, { message, replayed });
      return;
    }
    const begun = this.#begun.get(m.receiver);
    const opened = begun && replayResponse(this.#crypto, begun.message, begun.replayed, m, this.#secrets);
    if (opened?.kind !== "open") return;
    this.#add(m.sender, opened.keys.toResponder);
    this.#add(m.receiver, opened.keys.toInitiator);
  }
  #add(receiver: number, key: Uint8Array): void {
    this.#keys.set(receiver, [...(this.#keys.get(receiver) ?? []), key]);
  }

  /** True: the tag verifies, and what is in it may be there. A text: why not. undefined: its keys are not known, or it was cut. */
  data(m: DataMessage, from: AuditNode): true | string | undefined {
    const keys = [...(this.#keys.get(m.receiver) ?? []), ...this.#secrets.sessionKeys(m.receiver)];
    if (keys.length === 0 || m.bytes.length < m.length) return undefined;
    const sealed = m.bytes.subarray(Data.PAYLOAD);
    let plain: Uint8Array | undefined;
    for (const key of keys) plain ??= openData(this.#crypto, key, m.counter, sealed);
    if (!plain) return "its tag does not verify under the keys of its session";
    const inner = decodeIp(plain)[0];
    if ((inner?.kind !== "ipv4" && inner?.kind !== "ipv6") || from.allowedIps.length === 0) return true;
    return (
      from.allowedIps.some((a) => contains(a, inner.src)) ||
      `the packet in it comes from ${formatIp(inner.src)}, which ${from.name} may not send from`
    );
  }
}
