// What every step of the exercise does: types a command somewhere, shows what came back, and says whether that is what must come back.
import type { ChildProcess } from "node:child_process";
import { messageOf } from "../../base/errors.ts";
import { enterLab, enterMember, environment, labEnvironment, type LabNode, type LabPod, nodeOf, podOf, type RunningLab } from "../enter.ts";
import { startPiped } from "../../sys/child.ts";
import { childrenOf } from "../../sys/ns.ts";
import { realProgram } from "../programs.ts";

/** Where a command is typed: on a node, in a pod, or in the lab but outside of both (as at the machine itself). */
export type Place = LabNode | LabPod | "machine";
export type Typed = {
  /** Standard output and error as they came. */
  readonly output: string;
  readonly code: number;
  /** Wall time of the command's return, ms since 1970. */
  readonly returnedAt: number;
};
export type TypeOptions = {
  /** After so long it hangs and is killed. @default 120000 */
  readonly timeoutMs?: number;
  /** Changes what is shown, not what is checked: for secrets. */
  readonly show?: (text: string) => string;
  /** Typed one after the other, each when the command's output ends with a shell's prompt. */
  readonly dialogue?: readonly string[];
  /** Show nothing: for what only measures. */
  readonly quiet?: boolean;
};
/** A command that runs while others are typed. */
export type Running = {
  /** Waits until it has printed this. Throws when it ends before. */
  says(pattern: RegExp): Promise<void>;
  /** As Ctrl-C would, then waits for the end. */
  interrupt(): Promise<Typed>;
  /** Waits for the end. */
  readonly ended: Promise<Typed>;
};

/** "slow": right, but later than promised. That is no failure: how late says as much about what else the machine does; bench/cluster.ts measures it. */
export type Verdict = { readonly step: string; readonly ok: boolean | "skipped" | "slow"; readonly claim: string };

const WHERE_FROM: Readonly<Record<string, string>> = {
  wg: "Debian package wireguard-tools",
  tcpdump: "Debian package tcpdump",
  tshark: "Debian package tshark",
  kubectl: "1.30 or later: scripts/peers fetches one, or Debian package kubernetes-client of trixie",
};
/** Ten times what the longest of them takes: a busy machine is no hanging one. */
const DEFAULT_TIMEOUT_MS = 120_000;

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // It has ended.
  }
}

/** The programs themselves, behind nsenter and the shell, whose exit codes are passed on. */
function leaves(pid: number): number[] {
  const children = childrenOf(pid);
  return children.length === 0 ? [pid] : children.flatMap(leaves);
}

export class Walk {
  readonly lab: RunningLab;
  readonly verdicts: Verdict[] = [];
  /** Measured, for the summary: what, and the figure with its unit. */
  readonly figures: [what: string, figure: string][] = [];
  /** A directory of this run's own below /tmp, shared by all nodes. */
  readonly directory: string;
  readonly #write: (text: string) => void;
  readonly #colour: boolean;
  #step = "";
  #closed = false;

  constructor(lab: RunningLab, options: { write: (text: string) => void; colour: boolean; directory: string }) {
    this.lab = lab;
    this.directory = options.directory;
    this.#write = (text) => void (this.#closed || options.write(text));
    this.#colour = options.colour;
  }

  node(name: string): LabNode {
    return nodeOf(this.lab, name);
  }
  pod(name: string): LabPod {
    return podOf(this.lab, name);
  }

  /** Begins a step. */
  step(number: string, title: string): void {
    this.#step = number;
    this.#write(`\n${this.#paint("1", `── ${number}. ${title} `.padEnd(100, "─"))}\n`);
  }

  /** Types a line for the shell at a place and waits for its end. */
  async type(place: Place, line: string, options: TypeOptions = {}): Promise<Typed> {
    return (await this.begin(place, line, options)).ended;
  }

  /** Types a line and goes on while it runs. */
  async begin(place: Place, line: string, options: TypeOptions = {}): Promise<Running> {
    const show = options.quiet ? () => {} : (text: string) => this.#write(options.show?.(text) ?? text);
    show(`${this.#paint("36", `${place === "machine" ? "" : place.name}#`)} ${this.#paint("1", line)}\n`);
    const prefix = place === "machine" ? enterLab(this.lab) : enterMember(this.lab, place);
    // What a program leaves in its temporary directory when it is killed goes with the walk.
    const env = { ...(place === "machine" ? labEnvironment(process.env) : environment(process.env, { own: true })), TMPDIR: this.directory };
    // In a group of its own: a Ctrl-C is for the walk, and a program that hangs can be killed with all that is around it.
    const child = startPiped([...prefix, "sh", "-c", line], { env });
    child.stdin.on("error", () => {});
    const lines = [...(options.dialogue ?? [])];
    if (lines.length === 0) child.stdin.end();
    let soFar = "";
    const take = (text: string): void => {
      soFar += text;
      show(text);
      child.emit("printed");
      if (/[#$] $/.test(soFar) && lines.length > 0) {
        child.stdin.write(`${lines.shift()}\n`);
        if (lines.length === 0) child.stdin.end();
      }
    };
    const ended = this.#collect(child, take, options.timeoutMs ?? DEFAULT_TIMEOUT_MS);
    return {
      ended,
      says: (pattern) =>
        new Promise((resolve, reject) => {
          const look = (): void => (pattern.test(soFar) ? resolve() : undefined);
          child.on("printed", look);
          void ended.then(() => reject(new Error(`"${line}" ended before it said ${pattern}`)));
          look();
        }),
      interrupt: async () => {
        for (const pid of leaves(child.pid!)) signal(pid, "SIGINT");
        return ended;
      },
    };
  }

  #collect(child: ChildProcess, show: (text: string) => void, timeoutMs: number): Promise<Typed> {
    let output = "";
    let last = "\n";
    const take = (text: string): void => {
      output += text;
      if (text !== "") last = text;
      show(text);
    };
    child.stdout!.setEncoding("utf8").on("data", take);
    child.stderr!.setEncoding("utf8").on("data", take);
    const timer = setTimeout(() => {
      take(`\n(no end within ${timeoutMs / 1000} s: killed)\n`);
      signal(-child.pid!, "SIGKILL");
    }, timeoutMs);
    let returnedAt = 0;
    child.once("exit", () => (returnedAt = Date.now()));
    return new Promise((resolve) => {
      child.once("error", (e) => take(`${e.message}\n`));
      child.once("close", (code) => {
        clearTimeout(timer);
        if (!last.endsWith("\n")) show("\n");
        resolve({ output, code: code ?? -1, returnedAt: returnedAt || Date.now() });
      });
    });
  }

  /** A verdict on what came back. `found` is shown when it is not what must be. */
  check(ok: boolean, claim: string, found?: unknown): boolean {
    if (!this.#closed) this.verdicts.push({ step: this.#step, ok, claim });
    const detail = ok || found === undefined ? "" : `\n        found: ${typeof found === "string" ? found.trim() : JSON.stringify(found)}`;
    this.#write(`  ${ok ? this.#paint("32", "ok  ") : this.#paint("31", "FAIL")}  ${claim}${detail}\n`);
    return ok;
  }

  /** A promise of time or loss that holds where nothing else goes on. `kept`: it did; `claim` says what was seen. */
  promise(kept: boolean, claim: string, promised: string): void {
    if (kept) return void this.check(true, claim);
    if (!this.#closed)
      this.verdicts.push({ step: this.#step, ok: "slow", claim: `${claim}; promised on a machine with nothing else to do: ${promised}` });
    this.#write(`  ${this.#paint("33", "slow")}  ${claim} (promised on a machine with nothing else to do: ${promised})\n`);
  }

  /** Runs a cross-check with the real program, or says that it is skipped and what would bring it. */
  async real(program: string, body: (path: string) => Promise<void>): Promise<void> {
    const path = await realProgram(program);
    if (path !== undefined) return body(path);
    const claim = `the same with the real ${program}: not installed here (${WHERE_FROM[program] ?? program})`;
    this.verdicts.push({ step: this.#step, ok: "skipped", claim });
    this.#write(`  ${this.#paint("33", "skip")}  ${claim}\n`);
  }

  /** The lab has ended, with these words: nothing more is shown or judged. */
  close(words: string): void {
    this.check(false, "the lab stands until the walk is over", words);
    this.#closed = true;
  }
  get closed(): boolean {
    return this.#closed;
  }

  note(text: string): void {
    this.#write(`${this.#paint("2", `(${text})`)}\n`);
  }

  figure(what: string, figure: string): void {
    this.figures.push([what, figure]);
  }

  /** What a step threw is its failure; the walk goes on. */
  async attempt(body: () => Promise<void>): Promise<void> {
    try {
      await body();
    } catch (thrown) {
      this.check(false, "the step comes to its end", messageOf(thrown));
    }
  }

  #paint(code: string, text: string): string {
    return this.#colour ? `\x1b[${code}m${text}\x1b[0m` : text;
  }
}
