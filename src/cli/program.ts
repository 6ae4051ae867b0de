// What every command built on commander shares: help with examples, usage errors as TortieError (exit code 1, no stack), exit codes from actions.
import { Command, CommanderError, Help } from "commander";
import { fromBase64 } from "../base/bytes.ts";
import { TortieError } from "../base/errors.ts";

const exitCodes = new WeakMap<Command, number>();

const rootOf = (command: Command): Command => (command.parent ? rootOf(command.parent) : command);

/**
 * A command with its help: `name` as it is typed ("tortie status"), one line that says what it does, and lines to copy.
 * Add options and arguments, give it an action with `onAction`, run it with `runProgram`.
 */
export function program(name: string, summary: string, examples: readonly string[]): Command {
  const command = new Command(name).description(summary).exitOverride().allowExcessArguments(false).showSuggestionAfterError(true);
  // What may be given several times is not given at first: that goes without saying.
  command.configureHelp({ optionDescription: (option) => new Help().optionDescription(option).replace(/ \(default: \[\]\)$/, "") });
  // The error is thrown and printed once, by main.ts.
  command.configureOutput({ outputError: () => {} });
  return withExamples(command, examples);
}

/** Adds a block of examples to the help of a command (also of a sub-command made with `.command(…)`). */
export function withExamples(command: Command, examples: readonly string[]): Command {
  if (examples.length > 0) command.addHelpText("after", `\nExamples:\n${examples.map((e) => `  ${e}\n`).join("")}`);
  return command;
}

/** Like commander's `.action`, but the handler's result is the exit code that `runProgram` gives. */
export function onAction<A extends unknown[]>(command: Command, handler: (...args: A) => Promise<number> | number): Command {
  return command.action(async (...args: unknown[]) => {
    exitCodes.set(rootOf(command), await handler(...(args as A)));
  });
}

/** Parses `args` (the words after the command's name), runs the action and gives the exit code. Throws TortieError for bad usage. */
export async function runProgram(command: Command, args: readonly string[]): Promise<number> {
  try {
    exitCodes.delete(command);
    await command.parseAsync([...args], { from: "user" });
    return exitCodes.get(command) ?? 0;
  } catch (thrown) {
    if (!(thrown instanceof CommanderError)) throw thrown;
    if (thrown.exitCode === 0 || thrown.code === "commander.help") return thrown.exitCode;
    const called = calledPart(command, args);
    const unknown = thrown.code === "commander.excessArguments" && called.command.commands.length > 0;
    const why = unknown ? `Unknown command '${called.command.args[0]}'` : capital(thrown.message.replace(/^error: /, "").trim());
    throw new TortieError(why, { hint: `${called.words} --help explains it.`, cause: thrown });
  }
}

/** The command that `args` names, with its words: "tortie lab shell". */
function calledPart(command: Command, args: readonly string[], words: string = command.name()): { command: Command; words: string } {
  const at = args.findIndex((a) => command.commands.some((c) => c.name() === a));
  const part = command.commands.find((c) => c.name() === args[at]);
  return part ? calledPart(part, args.slice(at + 1), `${words} ${part.name()}`) : { command, words };
}

const capital = (text: string): string => text.slice(0, 1).toUpperCase() + text.slice(1);

/** An option's value as a whole number in [min, max]; for commander's argParser. Throws TortieError. */
export const integer =
  (what: string, min: number, max: number): ((text: string) => number) =>
  (text) => {
    const n = /^-?[0-9]{1,15}$/.test(text) ? Number(text) : NaN;
    if (!(n >= min && n <= max)) throw new TortieError(`Cannot use "${text}" as ${what}: it must be a whole number from ${min} to ${max}`);
    return n;
  };

const UNITS: Readonly<Record<string, number>> = { "": 1, s: 1, m: 60, h: 3600, d: 86_400 };

/** An option's value as seconds: "30s", "10m", "2h", "90"; for commander's argParser. Throws TortieError. */
export const duration =
  (what: string): ((text: string) => number) =>
  (text) => {
    const [, number, unit] = /^([0-9]{1,6})([smhd]?)$/.exec(text) ?? [];
    const seconds = Number(number) * (UNITS[unit ?? "x"] ?? NaN);
    if (!(seconds > 0)) throw new TortieError(`Cannot use "${text}" as ${what}: it must be like 30s, 10m or 2h`);
    return seconds;
  };

/** An option that takes public keys, one each time; for commander's argParser. Throws TortieError. */
export function peerKey(text: string, before: readonly Uint8Array[]): Uint8Array[] {
  const key = fromBase64(text);
  // Not repeated: somebody may have given a private one.
  if (key?.length !== 32) throw new TortieError("Cannot use what was given as a public key: it must be 44 characters of base64");
  return [...before, key];
}
