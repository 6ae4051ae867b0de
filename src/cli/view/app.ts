// The viewer at work: keys change the state, time and packets the document, and both the screen.
import { messageOf } from "../../base/errors.ts";
import type { ViewedCapture } from "./viewed.ts";
import type { Input } from "./input.ts";
import { type Action, kept, type Key, press } from "./keys.ts";
import { caretOf, screen } from "./screen.ts";
import { initialState, type State } from "./state.ts";
import type { Terminal } from "./terminal.ts";

/** Between two drawings at least, and where nothing but time changes at most. */
const FRAME_MS = 40;
const IDLE_MS = 250;
/** Of searching, between two looks at the keyboard. */
const SLICE_MS = 15;

const SIGNALS = { SIGTERM: 143, SIGHUP: 129, SIGINT: 130, SIGQUIT: 131 } as const;

/** Runs until the person or a signal ends it; the result is the exit code. Throws TortieError. */
export async function run(
  terminal: Terminal,
  input: Input,
  document: ViewedCapture,
  options: { follow: boolean; filter?: string | undefined },
): Promise<number> {
  const stop = new AbortController();
  let code = 0;
  let failure: { readonly why: unknown } | undefined;
  let state: State = initialState(terminal.size, options);
  let drawn = 0;
  let due: NodeJS.Timeout | undefined;
  let seen = "";

  const end = (with_: number): void => {
    code = with_;
    stop.abort();
  };
  const draw = (): void => {
    due = undefined;
    drawn = performance.now();
    state = kept({ ...state, size: terminal.size }, document);
    terminal.draw(screen(state, document), caretOf(state));
    // Conversations are collected from when they are seen first.
    searchOn();
  };
  const change = (): void => {
    due ??= setTimeout(guard(draw), Math.max(0, FRAME_MS - (performance.now() - drawn)));
  };
  /** What goes wrong anywhere ends the program as any error does: with a sentence, after the terminal is given back. */
  const onUncaught = (why: unknown): void => {
    failure ??= { why };
    stop.abort();
  };
  const guard =
    <A extends unknown[]>(body: (...args: A) => void) =>
    (...args: A): void => {
      try {
        body(...args);
      } catch (why) {
        onUncaught(why);
      }
    };
  const search = (): void => {
    if (stop.signal.aborted) return;
    const end = performance.now() + SLICE_MS;
    if (document.searchOn(() => performance.now() > end)) {
      change();
      setImmediate(guard(search));
    } else searching = false;
  };
  let searching = false;
  const searchOn = (): void => {
    if (searching) return;
    searching = true;
    setImmediate(guard(search));
  };
  const act = (action: Action): void => {
    switch (action.kind) {
      case "quit":
        return end(0);
      case "suspend":
        return terminal.suspend();
      case "redraw":
        return terminal.forget();
      case "interrupt":
        return document.stopSearch();
      case "filter":
        document.search(action.text);
        state = kept(state, document);
        return searchOn();
      case "follow":
        document.follow(action.key);
        return searchOn();
      case "copy":
        terminal.copy(action.text);
        state = {
          ...state,
          message: { text: `Copied: ${action.text}`, isError: false },
          history: [action.text, ...state.history.filter((h) => h !== action.text)],
        };
    }
  };
  const onKey = guard((key: Key) => {
    const step = press(state, key, document);
    state = step.state;
    if (step.action) act(step.action);
    change();
  });
  const onTime = guard(() => {
    const now = `${document.changes} ${document.length} ${document.progress?.done} ${document.rates?.packets} ${document.dropped} ${document.sessions.length}`;
    if (now === seen) return;
    seen = now;
    searchOn();
    change();
  });
  const handlers = Object.entries(SIGNALS).map(([signal, exitCode]) => [signal, () => end(exitCode)] as const);

  const close = terminal.open({
    key: onKey,
    resize: guard(() => {
      terminal.forget();
      change();
    }),
    closed: () => end(SIGNALS.SIGHUP),
  });
  for (const [signal, handler] of handlers) process.on(signal, handler);
  process.on("uncaughtException", onUncaught);
  const timer = setInterval(onTime, IDLE_MS);
  try {
    if (options.filter !== undefined) act({ kind: "filter", text: options.filter });
    draw();
    const running = input.run(document, stop.signal).catch((why: unknown) => {
      if (stop.signal.aborted) return;
      state = { ...state, message: { text: messageOf(why), isError: true } };
      change();
    });
    if (!stop.signal.aborted) await new Promise<void>((resolve) => stop.signal.addEventListener("abort", () => resolve(), { once: true }));
    close();
    await running;
  } finally {
    close();
    clearInterval(timer);
    clearTimeout(due);
    for (const [signal, handler] of handlers) process.off(signal, handler);
    process.off("uncaughtException", onUncaught);
    await input.close();
  }
  if (failure) throw failure.why;
  return code;
}
