import { describe, expect, test } from "vitest";
import { onAction, program, runProgram } from "./program.ts";

const command = (): ReturnType<typeof program> => {
  const made = program("tortie cat", "cats", ["tortie cat feed"]).option("--quiet", "no word");
  onAction(made.command("feed").requiredOption("--with <food>", "what"), () => 7);
  onAction(made.command("pet"), () => 0);
  const toy = onAction(made.command("toy"), () => 0);
  onAction(toy.command("throw").argument("<far>"), () => 0);
  return made;
};

describe("a command", () => {
  test("gives its action's exit code", async () => {
    expect(await runProgram(command(), ["feed", "--with", "fish"])).toBe(7);
  });
  test("whose option may be given several times has no empty list in its help", () => {
    const text = command()
      .option("--toy <name>", "one of many", (name: string, before: string[]) => [...before, name], [])
      .option("--size <n>", "how large", "7")
      .helpInformation();
    expect(text).toMatch(/--toy <name> +one of many$/m);
    expect(text).toMatch(/--size <n> +how large \(default: "7"\)$/m);
  });
  test.for([
    { args: ["feed"], message: "Required option '--with <food>' not specified", hint: "tortie cat feed --help explains it." },
    { args: ["--quiet", "feed"], message: "Required option '--with <food>' not specified", hint: "tortie cat feed --help explains it." },
    { args: ["pet", "--zap"], message: "Unknown option '--zap'", hint: "tortie cat pet --help explains it." },
    { args: ["zap"], message: "Unknown command 'zap'", hint: "tortie cat --help explains it." },
    { args: ["toy", "zap"], message: "Unknown command 'zap'", hint: "tortie cat toy --help explains it." },
    { args: ["toy", "throw"], message: "Missing required argument 'far'", hint: "tortie cat toy throw --help explains it." },
    { args: ["--zap"], message: "Unknown option '--zap'", hint: "tortie cat --help explains it." },
  ])("says where the help is: $args", async ({ args, message, hint }) => {
    await expect(runProgram(command(), args)).rejects.toMatchObject({ message, hint, exitCode: 1 });
  });
});
