// The bytes of a request's body: at most BODY_LIMIT each and ALL_BODIES in all, in one buffer, so that a body that comes a byte at a time costs no more
// than one that comes whole.
import type { Readable } from "node:stream";
import { badRequest, tooLarge, tooManyRequests } from "../../api/status.ts";
import { BODY_LIMIT } from "./body.ts";

/** Bytes of all bodies that are being read or worked on. */
const ALL_BODIES: number = 128 * 1024 * 1024;
let held = 0;

/** What the bytes are held for: the answer. */
type Held = { readonly destroyed: boolean; once(event: "close", listener: () => void): unknown };

/** Reads `message` to its end. `announced` is its Content-Length, if it has one; the bytes count as held until `answer` is closed. Throws ApiError 400, 413, 429. */
export function readBody(message: Readable, announced: number | undefined, answer: Held): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    if (announced !== undefined && announced > BODY_LIMIT) return reject(tooLarge(BODY_LIMIT));
    let buffer: Uint8Array = new Uint8Array(0);
    let length = 0;
    answer.once("close", () => (held -= buffer.length));
    const room = (size: number): boolean => {
      if (answer.destroyed || held + size - buffer.length > ALL_BODIES) return false;
      held += size - buffer.length;
      return true;
    };
    const grow = (wanted: number): boolean => {
      if (wanted <= buffer.length) return true;
      const size = Math.min(BODY_LIMIT, Math.max(4096, 2 * buffer.length, wanted));
      if (!room(size)) return false;
      const larger = new Uint8Array(size);
      larger.set(buffer.subarray(0, length));
      buffer = larger;
      return true;
    };
    message.on("data", (part: Uint8Array) => {
      const wanted = length + part.length;
      // Most bodies come whole.
      if (length === 0 && wanted === announced && room(wanted)) {
        buffer = part;
        length = wanted;
        return;
      }
      if (wanted <= BODY_LIMIT && grow(wanted)) {
        buffer.set(part, length);
        length = wanted;
        return;
      }
      message.removeAllListeners("data");
      reject(wanted > BODY_LIMIT ? tooLarge(BODY_LIMIT) : tooManyRequests());
    });
    message.on("end", () => resolve(buffer.subarray(0, length)));
    // A broken chunk or a connection that ends in the middle: the client's doing, no fault of the server's.
    const cut = (): void => reject(badRequest("the request's body ended before it was whole"));
    message.on("error", cut);
    message.on("close", cut);
  });
}
