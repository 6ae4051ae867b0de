// The words of wg(8): its name as called, system errors as glibc says them, and colours.
import { basename } from "node:path";
import { TortieError } from "../../base/errors.ts";
import { UapiError } from "../../uapi/client.ts";
import { strerror } from "../strerror.ts";

/** "wg" when called by that name. */
export const PROGRAM: string = basename(process.argv[1] ?? "").replace(/\.js$/, "") === "wg" ? "wg" : "tortie wg";

/** strerror of what a file or socket operation threw. */
export function reasonOf(thrown: unknown): string {
  if (thrown instanceof UapiError) return strerror(thrown.errno);
  const errno = (thrown as NodeJS.ErrnoException).errno;
  return errno === undefined ? strerror(5) : strerror(Math.abs(errno));
}

/** `what: reason`, as wg(8) says it. */
export const failure = (what: string, thrown: unknown): TortieError => new TortieError(`${what}: ${reasonOf(thrown)}`, { cause: thrown });

export const warn = (text: string): void => void process.stderr.write(`${text}\n`);

const CODES = { reset: 0, bold: 1, red: 31, green: 32, yellow: 33, cyan: 36 } as const;
export type Style = keyof typeof CODES;
/** Escape sequences of these styles; nothing when colours are off. */
export type Paint = (...styles: Style[]) => string;

/** WG_COLOR_MODE=always|never, otherwise whether standard output is a terminal. */
export function paint(): Paint {
  const mode = process.env.WG_COLOR_MODE;
  const on = mode === "always" || (mode !== "never" && process.stdout.isTTY);
  return on ? (...styles) => styles.map((s) => `\x1b[${CODES[s]}m`).join("") : () => "";
}
