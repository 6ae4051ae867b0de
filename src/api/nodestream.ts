// What goes between a node's agent and a server (docs/design/streams.md): frames of many streams on one connection, and the window of each, so that one that
// is not read holds up nothing but itself.

export const STREAM_PROTOCOL = "v2.stream.tortie.io";
/** Those of v5.channel.k8s.io; `credit` (u32 big-endian) widens the other side's window by so many bytes; `open` begins a stream. */
export const CHANNEL = { stdin: 0, stdout: 1, stderr: 2, status: 3, resize: 4, credit: 253, open: 254, close: 255 } as const;
/** Bytes of data (channels 0 to 2) that a side of a stream may have sent before the other side passed them on. */
export const WINDOW: number = 512 << 10;
/** Data goes in pieces of at most so many bytes: between two of one stream others have their turn. */
export const PIECE: number = 32 << 10;
/** Streams at a time on one node. */
export const STREAM_LIMIT = 64;
const HEADER = 5;

export type Frame = { readonly stream: number; readonly channel: number; readonly payload: Uint8Array };

/** u32 big-endian stream, u8 channel, payload. */
export function encodeFrame({ stream, channel, payload }: Frame): Uint8Array {
  const out = new Uint8Array(HEADER + payload.length);
  const view = new DataView(out.buffer);
  view.setUint32(0, stream);
  view.setUint8(4, channel);
  out.set(payload, HEADER);
  return out;
}

/** Undefined when there is no header. The payload is a view. */
export function decodeFrame(bytes: Uint8Array): Frame | undefined {
  if (bytes.length < HEADER) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return { stream: view.getUint32(0), channel: view.getUint8(4), payload: bytes.subarray(HEADER) };
}

export function creditFrame(stream: number, bytes: number): Uint8Array {
  const payload = new Uint8Array(4);
  new DataView(payload.buffer).setUint32(0, bytes);
  return encodeFrame({ stream, channel: CHANNEL.credit, payload });
}

/** The bytes of a credit; 0 when it is malformed. */
export const creditOf = (payload: Uint8Array): number =>
  payload.length === 4 ? new DataView(payload.buffer, payload.byteOffset, 4).getUint32(0) : 0;

/** What one side may still send. */
export class SendWindow {
  #left = WINDOW;
  #closed = false;
  #waiting: (() => void)[] = [];

  /** Resolves with how many of `wanted` bytes may go now, at least one; with 0 when there is nobody left to send them to. */
  async take(wanted: number): Promise<number> {
    while (this.#left === 0 && !this.#closed) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    if (this.#closed) return 0;
    const granted = Math.min(wanted, this.#left);
    this.#left -= granted;
    return granted;
  }
  /** The other side passed on so many bytes. */
  give(bytes: number): void {
    this.#left = Math.min(WINDOW, this.#left + bytes);
    this.#wake();
  }
  close(): void {
    this.#closed = true;
    this.#wake();
  }
  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const go of waiting) go();
  }
}

/** What the other side may still send. */
export class ReceiveWindow {
  #outstanding = 0;
  #owed = 0;

  /** False when the other side sends more than it may. */
  receive(bytes: number): boolean {
    this.#outstanding += bytes;
    return this.#outstanding <= WINDOW;
  }
  /** So many bytes were passed on; the result is the credit to give now, 0 for none yet: small ones are gathered. */
  pass(bytes: number): number {
    this.#owed += bytes;
    if (this.#owed < WINDOW / 4) return 0;
    const credit = this.#owed;
    this.#owed = 0;
    this.#outstanding -= credit;
    return credit;
  }
}

/** Sends `data` as the window allows, piece by piece; `send` resolves when the piece has left. */
export async function sendData(window: SendWindow, data: Uint8Array, send: (piece: Uint8Array) => Promise<void> | void): Promise<void> {
  for (let at = 0; at < data.length;) {
    const granted = await window.take(Math.min(PIECE, data.length - at));
    if (granted === 0) return;
    await send(data.subarray(at, at + granted));
    at += granted;
  }
}
