// Interface names and numbers (if_nametoindex(3)): the zone of a link-local IPv6 address.
import { fromUtf8 } from "../base/bytes.ts";
import { bind } from "./ffi.ts";

const nameToIndex = bind("unsigned int if_nametoindex(const char *)");
const indexToName = bind("uintptr_t if_indextoname(unsigned int, void *)");

/** Index of the interface of this name or number; undefined when there is none. */
export function interfaceIndex(zone: string): number | undefined {
  const index = /^[0-9]{1,9}$/.test(zone) ? Number(zone) : nameToIndex(zone);
  return index === 0 ? undefined : index;
}

/** Its name, or its number where the interface is gone. */
export function interfaceName(index: number): string {
  const name = new Uint8Array(16);
  return indexToName(index, name) === 0 ? String(index) : fromUtf8(name.subarray(0, name.indexOf(0)));
}
