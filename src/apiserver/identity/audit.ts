// The audit log: one line for each write, each exec and each refusal. What agents report of themselves every second is written only when it fails
// (or at level debug): it would bury the rest.
import type { Log } from "../../base/log.ts";
import { NODE_PREFIX } from "./roles.ts";

const REPORTS = "/apis/tortie.io/v1/nodeencryptions/";

export type AuditLine = {
  readonly verb: string;
  readonly path: string;
  readonly user: string;
  readonly source?: string;
  readonly code?: number;
  readonly message?: string;
};

export function auditTo(log: Log): (line: AuditLine) => void {
  return (line) => {
    const routine = line.user.startsWith(NODE_PREFIX) && line.path.startsWith(REPORTS) && (line.code ?? 0) < 400;
    log[routine ? "debug" : "info"]("audit", { ...line });
  };
}
