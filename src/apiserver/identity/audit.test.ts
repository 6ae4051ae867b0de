import { expect, test } from "vitest";
import type { Log } from "../../base/log.ts";
import { auditTo } from "./audit.ts";

const REPORT = "/apis/tortie.io/v1/nodeencryptions/n1/status";
test.for<[string, string, number, "debug" | "info"]>([
  ["system:node:n1", REPORT, 200, "debug"],
  ["system:node:n1", REPORT, 403, "info"],
  ["system:node:n1", "/api/v1/nodes/n1/status", 200, "info"],
  ["tortie-admin", REPORT, 200, "info"],
])("%s on %s with %i is logged at %s", ([user, path, code, level]) => {
  const said: string[] = [];
  const say = (l: string) => (): void => void said.push(l);
  const log: Log = { debug: say("debug"), info: say("info"), warn: say("warn"), error: say("error") };
  auditTo(log)({ verb: "PATCH", path, user, code });
  expect(said).toEqual([level]);
});
