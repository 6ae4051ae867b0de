// When and where: the time in front of a line, and where the network header begins.
import { decode } from "../../packet/decode.ts";
import { formatTime } from "../../capture/moment.ts";

/** Offset of the network header: what -x shows begins there. */
export function networkStart(link: number, data: Uint8Array): number {
  const layers = decode(data, link);
  const first = layers.find((l) => l.kind !== "ethernet" && l.kind !== "cooked" && l.kind !== "null");
  return first?.at ?? 0;
}

const two = (n: number): string => String(n).padStart(2, "0");

/** The time before a line, by how many -t there were. */
export function timestamp(how: number): (timeNs: bigint | undefined) => string {
  let first: bigint | undefined;
  let before: bigint | undefined;
  return (timeNs) => {
    if (how === 1) return "";
    if (timeNs === undefined) return "--:--:--.------ ";
    if (how === 2) return `${formatTime(timeNs, 6)} `;
    first ??= timeNs;
    const since = how === 3 ? timeNs - (before ?? timeNs) : timeNs - first;
    before = timeNs;
    if (how === 3 || how === 5) return ` ${clock(since < 0n ? -since : since)} `;
    const date = new Date(Number(timeNs / 1_000_000n));
    const day = how === 4 ? `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ` : "";
    const fraction = String((timeNs % 1_000_000_000n) / 1000n).padStart(6, "0");
    return `${day}${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${fraction} `;
  };
}

function clock(ns: bigint): string {
  const s = Number(ns / 1_000_000_000n);
  return `${two(Math.floor(s / 3600))}:${two(Math.floor(s / 60) % 60)}:${two(s % 60)}.${String((ns % 1_000_000_000n) / 1000n).padStart(6, "0")}`;
}
