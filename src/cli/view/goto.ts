// Places that `g` understands: "120" a packet, "50%" of the capture, "3.5s" after its first packet.
import type { World } from "./world.ts";

/** Number of the packet, from 0; a text says why there is none. */
export function goal(text: string, world: World): number | string {
  const { length } = world;
  const m = /^([0-9]+(?:\.[0-9]+)?)(%|s)?$/.exec(text);
  if (!m) return 'a packet\'s number, "50%", or "3.5s" after the first packet';
  if (length === 0) return "there are no packets yet";
  const n = Number(m[1]);
  if (m[2] === "%") return Math.round((Math.min(100, n) / 100) * (length - 1));
  if (m[2] === "s") return at(n, world);
  if (!Number.isInteger(n) || n < 1 || n > length) return `there are packets 1 to ${length}`;
  return n - 1;
}

/** Times need not be in order: the first packet that is not before it. */
function at(seconds: number, world: World): number | string {
  const { first } = world.facts;
  if (first === undefined) return "the packets of this capture have no time";
  const wanted = first + BigInt(Math.round(seconds * 1e9));
  for (let i = 0; i < world.length; i++) if ((world.time(i) ?? 0n) >= wanted) return i;
  return `the capture ends before ${seconds} s`;
}
