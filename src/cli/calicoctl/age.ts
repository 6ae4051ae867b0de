// The age of an object by its creation time.
import { age } from "../../api/age.ts";

/** "34s", "2m42s", "5h", "3d4h"; "0s" when it lies ahead, "<unknown>" for an empty or malformed time. */
export function ageOf(time: string, now: number): string {
  const ms = now - Date.parse(time);
  return Number.isNaN(ms) ? "<unknown>" : age(Math.max(0, ms));
}
