// A connection between an agent and a server that outlives what carries it: each side keeps the frames that the other has not said to have, and sends them
// again over the next WebSocket. Binary messages are frames; text messages are JSON about the link itself:
//   {"hello": {"agent": ID, "link": ID, "received": N}}       agent to server, first
//   {"hello": {"resumed": true, "received": N}}               server to agent, in answer; not resumed: both begin anew
//   {"received": N}                                           both, now and then: so many frames came in all
import { decodeFrame, type Frame, STREAM_LIMIT, WINDOW } from "./nodestream.ts";

/** Sends one message; resolves when it has left, or cannot any more. */
export type Carry = (message: string | Uint8Array) => Promise<void>;
/** How long a link without a connection is kept, in ms. */
export const GRACE_MS = 10_000;

/** A count is told after so many frames or bytes. */
const [TELL_FRAMES, TELL_BYTES] = [32, 256 << 10];
/** More than all windows together: whoever does not say what came cannot make this side keep it for ever. */
const KEEP_BYTES: number = 2 * STREAM_LIMIT * WINDOW;

export class Link {
  readonly #receive: (frame: Frame) => void;
  #carry: Carry | undefined;
  /** Frames that the other side has not said to have, oldest first. */
  #kept: Uint8Array[] = [];
  #keptBytes = 0;
  #sent = 0;
  #received = 0;
  #untold = { frames: 0, bytes: 0 };

  constructor(receive: (frame: Frame) => void) {
    this.#receive = receive;
  }

  /** Frames that came. */
  get received(): number {
    return this.#received;
  }
  /** Whether what the other side lacks is all here. */
  resumable(theirs: number): boolean {
    return Number.isInteger(theirs) && theirs <= this.#sent && theirs >= this.#sent - this.#kept.length;
  }

  /** Goes on over a new connection, whose other side has `theirs` frames. */
  attach(carry: Carry, theirs: number): void {
    this.#forget(theirs);
    this.#carry = carry;
    this.#untold = { frames: 0, bytes: 0 };
    for (const frame of this.#kept) void carry(frame);
  }
  detach(): void {
    this.#carry = undefined;
  }

  /** Resolves when the frame has left; at once while there is no connection: the windows bound what is kept. */
  async send(frame: Uint8Array): Promise<void> {
    this.#kept.push(frame);
    this.#keptBytes += frame.length;
    this.#sent++;
    await this.#carry?.(frame);
  }

  /** A message came. False: it makes no sense, and this connection is to be closed. */
  message(data: string | Uint8Array): boolean {
    if (typeof data === "string") {
      const theirs = receivedIn(data);
      if (!this.resumable(theirs)) return false;
      this.#forget(theirs);
      return true;
    }
    const frame = decodeFrame(data);
    if (!frame || this.#keptBytes > KEEP_BYTES) return false;
    this.#received++;
    this.#untold.frames++;
    this.#untold.bytes += data.length;
    if (this.#untold.frames >= TELL_FRAMES || this.#untold.bytes >= TELL_BYTES) this.tell();
    this.#receive(frame);
    return true;
  }

  /** Says how many frames came, when the other side does not know. */
  tell(): void {
    if (this.#untold.frames === 0) return;
    this.#untold = { frames: 0, bytes: 0 };
    void this.#carry?.(JSON.stringify({ received: this.#received }));
  }

  #forget(theirs: number): void {
    const gone = this.#kept.splice(0, theirs - (this.#sent - this.#kept.length));
    for (const frame of gone) this.#keptBytes -= frame.length;
  }
}

function parsed(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

const receivedIn = (text: string): number => {
  const { received } = parsed(text);
  return typeof received === "number" ? received : -1;
};

/** `agent`: one running agent; `link`: what it wants to go on with. Both random. */
export type Hello = { readonly agent: string; readonly link: string; readonly received: number };
export type Welcome = { readonly resumed: boolean; readonly received: number };
const count = (n: unknown): n is number => Number.isSafeInteger(n) && (n as number) >= 0;

/** What an agent says first; undefined when it is not that. */
export function helloOf(text: string): Hello | undefined {
  const { agent, link, received } = (parsed(text).hello ?? {}) as Record<string, unknown>;
  const id = (s: unknown): s is string => typeof s === "string" && /^[0-9a-f-]{16,64}$/.test(s);
  return id(agent) && id(link) && count(received) ? { agent, link, received } : undefined;
}
/** What the server answers; undefined when it is not that. */
export function welcomeOf(text: string): Welcome | undefined {
  const { resumed, received } = (parsed(text).hello ?? {}) as Record<string, unknown>;
  return typeof resumed === "boolean" && count(received) ? { resumed, received } : undefined;
}
export const helloText = (hello: Hello | Welcome): string => JSON.stringify({ hello });
