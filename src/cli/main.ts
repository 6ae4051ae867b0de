#!/usr/bin/env node
// The entry: which command was called, under which name, and its exit code. Every command is loaded when it is used, so `tortie wg` starts fast.
import { basename } from "node:path";
import { messageOf, TortieError } from "../base/errors.ts";
import { COMMANDS, PERSONALITIES } from "./table.ts";
import { printHelp, printVersion } from "./help.ts";

async function main(): Promise<number> {
  // A reader that went away (`| head`) is no error.
  process.stdout.on("error", (e: NodeJS.ErrnoException) => {
    if (e.code === "EPIPE") process.exit(0);
    process.stderr.write(`Cannot write to standard output: ${messageOf(e)}\n`);
    process.exit(1);
  });
  const args = process.argv.slice(2);
  const personality = PERSONALITIES.get(basename(process.argv[1] ?? "").replace(/\.js$/, ""));
  if (personality) return (await personality()).main(args);
  const [name, ...rest] = args;
  if (name === undefined || name === "help" || name === "--help" || name === "-h") return printHelp();
  if (name === "--version" || name === "-V" || name === "version") return printVersion();
  const load = COMMANDS.find((c) => c.name === name)?.load ?? PERSONALITIES.get(name);
  if (!load) throw new TortieError(`Cannot run "${name}": there is no such command`, { hint: "tortie --help lists them." });
  return (await load()).main(rest);
}

try {
  process.exitCode = await main();
} catch (caught) {
  // Loaded only now: most calls succeed.
  const thrown = (await import("./unauthorized.ts")).unauthorized(caught);
  const hint = thrown instanceof TortieError && thrown.hint ? `\n${thrown.hint}` : "";
  process.stderr.write(`${messageOf(thrown)}${hint}\n`);
  if (process.env.TORTIE_DEBUG && thrown instanceof Error) process.stderr.write(`${thrown.stack}\n`);
  process.exitCode = thrown instanceof TortieError ? thrown.exitCode : 1;
}
