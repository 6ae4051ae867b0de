// System errors as glibc says them: what people and scripts know from the real programs.
import { getSystemErrorMap } from "node:util";

/** libuv's texts differ from glibc's in more than the capital letter for these. */
const GLIBC: Readonly<Record<number, string>> = {
  5: "Input/output error",
  12: "Cannot allocate memory",
  14: "Bad address",
  16: "Device or resource busy",
  17: "File exists",
  18: "Invalid cross-device link",
  21: "Is a directory",
  23: "Too many open files in system",
  26: "Text file busy",
  29: "Illegal seek",
  34: "Numerical result out of range",
  36: "File name too long",
  40: "Too many levels of symbolic links",
  84: "Invalid or incomplete multibyte or wide character",
  93: "Protocol not supported",
  95: "Operation not supported",
  97: "Address family not supported by protocol",
  99: "Cannot assign requested address",
  106: "Transport endpoint is already connected",
  107: "Transport endpoint is not connected",
  111: "Connection refused",
  113: "No route to host",
  114: "Operation already in progress",
};

/** strerror(3) of a Linux errno. */
export function strerror(errno: number): string {
  const text = GLIBC[errno] ?? getSystemErrorMap().get(-errno)?.[1];
  return text === undefined ? `Unknown error ${errno}` : text.charAt(0).toUpperCase() + text.slice(1);
}
