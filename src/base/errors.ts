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

/** The words of whatever was thrown. */
export const messageOf = (thrown: unknown): string => (thrown instanceof Error ? thrown.message : String(thrown));
