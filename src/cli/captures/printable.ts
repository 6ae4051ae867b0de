// Text of a file, made fit for a terminal.

/** Control characters of a file, and those that turn the direction of writing, must not reach a terminal. */
export const printable = (text: string): string => (PLAIN.test(text) ? text : text.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, "·"));
/** What needs no second look: printable ASCII, and what our own lines are drawn with. */
const PLAIN = /^[\x20-\x7e→└─│]*$/;
