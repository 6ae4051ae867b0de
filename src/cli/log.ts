// The log of a daemon: JSON lines on standard error.
import type { Log } from "../base/log.ts";

export const LOG_LEVELS = ["silent", "error", "warn", "info", "debug"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Node lines below this one get no security fixes any more (20: since April 2026). */
const FIRST_KEPT_NODE = 22;

/** `base`: fields of every line. */
export async function daemonLog(level: LogLevel, base: Readonly<Record<string, string>>): Promise<Log> {
  // Loaded here: the short-lived commands beside the daemons do not wait for it.
  const { pino } = await import("pino");
  const logger = pino({ level, base, timestamp: pino.stdTimeFunctions.isoTime }, pino.destination({ fd: 2, sync: true }));
  return {
    debug: (message, fields) => logger.debug(fields ?? {}, message),
    info: (message, fields) => logger.info(fields ?? {}, message),
    warn: (message, fields) => logger.warn(fields ?? {}, message),
    error: (message, fields) => logger.error(fields ?? {}, message),
  };
}

/** Says, once a daemon that holds keys stands, when its Node is past its end of life. */
export function adviseOnNode(log: Log): void {
  if (Number(process.versions.node.split(".")[0]) < FIRST_KEPT_NODE)
    log.info("this Node is past its end of life and gets no security fixes; 24 is recommended", { version: process.version });
}
