// struct ifreq (netdevice(7)): 40 bytes, the link's name in the first 16.
import { TortieError } from "../base/errors.ts";
import { fromUtf8, utf8 } from "../base/bytes.ts";

const SIZE = 40;
const NAME = 16;

/** A request about the link `name`. Throws TortieError when no link can have that name. */
export function nameRequest(name: string): Uint8Array<ArrayBuffer> {
  const bytes = utf8(name);
  if (bytes.length >= NAME || /[/\s:]/.test(name) || name === "." || name === "..")
    throw new TortieError(`Cannot use "${name}" as a link's name: it must be 1 to 15 characters, without "/", ":" and blanks`);
  const out = new Uint8Array(SIZE);
  out.set(bytes);
  return out;
}

/** The name that the kernel filled in. */
export const requestName = (request: Uint8Array): string => fromUtf8(request.subarray(0, request.indexOf(0)));
