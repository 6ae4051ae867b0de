// What one may ask of a pod's log: PodLogOptions of v1.
// https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/#get-read-log-of-the-specified-pod
import { type FieldError } from "./meta.ts";

export type PodLog = {
  /** Goes on with what is written from now on. */
  readonly follow?: true;
  /** Puts its time before each line. */
  readonly timestamps?: true;
  /** The last lines, so many. */
  readonly tailLines?: number;
  /** What was written in the last seconds, or since a time (RFC 3339). */
  readonly sinceSeconds?: number;
  readonly sinceTime?: string;
  /** No more than so many bytes. */
  readonly limitBytes?: number;
};

const LEAST = { tailLines: 0, sinceSeconds: 1, limitBytes: 1 } as const;

/** What is asked for, or why it cannot be. Nothing of `value` is trusted to be well formed. */
export function podLogOf(value: Readonly<Record<string, unknown>>): PodLog | FieldError[] {
  const errors: FieldError[] = [];
  const refuse = (field: string, why: string): void =>
    void errors.push({ field, reason: "FieldValueInvalid", message: `Invalid value: ${JSON.stringify(value[field]) ?? "null"}: ${why}` });
  const numbers: Record<string, number> = {};
  for (const [field, least] of Object.entries(LEAST)) {
    const n = value[field];
    if (n === undefined) continue;
    if (Number.isSafeInteger(n) && (n as number) >= least) numbers[field] = n as number;
    else refuse(field, `must be a whole number, at least ${least}`);
  }
  const { sinceTime } = value;
  if (sinceTime !== undefined && (typeof sinceTime !== "string" || Number.isNaN(Date.parse(sinceTime))))
    refuse("sinceTime", "must be a time, RFC 3339");
  if (sinceTime !== undefined && numbers.sinceSeconds !== undefined) refuse("sinceTime", "at most one of sinceTime and sinceSeconds may be given");
  if (errors.length > 0) return errors;
  return {
    ...(value.follow === true ? { follow: true } : {}),
    ...(value.timestamps === true ? { timestamps: true } : {}),
    ...numbers,
    ...(typeof sinceTime === "string" ? { sinceTime } : {}),
  };
}
