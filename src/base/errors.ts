// Errors for a person: what could not be done, why, and what to do next. The CLI prints `message` and `hint`, never a stack trace.

export class TortieError extends Error {
  /** What to do next: one sentence, or empty. */
  readonly hint: string;
  /** Exit code of the command that ends with this error. */
  readonly exitCode: number;
  constructor(message: string, options: { hint?: string; exitCode?: number; cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.name = "TortieError";
    this.hint = options.hint ?? "";
    this.exitCode = options.exitCode ?? 1;
  }
}

/** "ENOSPC: no space left on device, write '/tmp/x'": the code and the call are for programmers. */
const SYSTEM = /^E[A-Z0-9]+: (.+?), [a-z]+(?: '[^]*)?$/;

/** The words of whatever was thrown. */
export const messageOf = (thrown: unknown): string => {
  const text = thrown instanceof Error ? thrown.message : String(thrown);
  return SYSTEM.exec(text)?.[1] ?? text;
};
