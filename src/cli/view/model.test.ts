// The viewer's model on real captures, without a terminal: keys in, screens out.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import { fromUtf8 } from "../../base/bytes.ts";
import { parseKeyLog } from "../../capture/keylog.ts";
import { nodeCrypto } from "../../crypto/node.ts";
import { ViewedCapture } from "./viewed.ts";
import type { TreeNode } from "../../capture/tree.ts";
import { filterOfNode } from "./filters.ts";
import { type Action, kept, type Key, press } from "./keys.ts";
import { caretOf, screen } from "./screen.ts";
import { initialState, type State } from "./state.ts";
import { ByteStore } from "./store.ts";
import { plain, widthOf } from "./text.ts";

const path = (name: string): string => fileURLToPath(new URL(`../../../test/captures/${name}`, import.meta.url));
const stores: ByteStore[] = [];
afterAll(() => stores.forEach((s) => s.close()));

/** Opened as the program does it, in pieces. */
function open(name: string, options: { keys?: string; live?: boolean; piece?: number; isPod?: (ip: Uint8Array) => boolean } = {}): ViewedCapture {
  const store = ByteStore.open(path(name));
  stores.push(store);
  const logs = options.keys === undefined ? [] : [parseKeyLog(fromUtf8(readFileSync(path(options.keys))))];
  const { live = false, piece = 1 << 16, isPod } = options;
  const document = new ViewedCapture(name, { read: store.read, crypto: nodeCrypto, logs, live, ...(isPod ? { isPod } : {}) });
  const bytes = readFileSync(path(name));
  const each = (take: (chunk: Uint8Array) => void): void => {
    for (let at = 0; at < bytes.length; at += piece) take(new Uint8Array(bytes.subarray(at, at + piece)));
  };
  if (!live) {
    each((c) => document.learn(c));
    document.learned();
  }
  each((c) => document.open(c));
  document.opened();
  return document;
}

/** A person at the keyboard: names of keys, or text that is typed. */
class Person {
  state: State;
  readonly document: ViewedCapture;
  readonly actions: Action[] = [];
  constructor(document: ViewedCapture, columns = 80, rows = 24) {
    this.document = document;
    this.state = initialState({ columns, rows });
  }
  press(...keys: (string | Partial<Key>)[]): this {
    for (const k of keys) {
      const key: Key =
        typeof k !== "string" ? { name: "", text: "", ...k } : k.length === 1 ? { name: k, text: k } : { name: k, text: k === "space" ? " " : "" };
      const step = press(this.state, key, this.document);
      this.state = kept(step.state, this.document);
      if (step.action) this.actions.push(step.action);
      if (step.action?.kind === "filter") {
        this.document.search(step.action.text);
        while (this.document.searchOn());
      }
    }
    return this;
  }
  type(text: string): this {
    return this.press(...Array.from(text, (c) => ({ name: c, text: c })));
  }
  get lines(): string[] {
    return screen(this.state, this.document).map(plain);
  }
  get text(): string {
    return this.lines.map((l) => l.trimEnd()).join("\n");
  }
  /** The line that is shown in reverse: the chosen one. */
  get chosen(): string {
    const found = screen(this.state, this.document)
      .slice(1, -1)
      .find((l) => l[0]?.style?.reverse);
    return found ? plain(found) : "";
  }
}

const opened = (): ViewedCapture => open("wggo-psk-v4.pcap", { keys: "wggo-psk-v4.initiator.keys" });

test("the first screen has the list, the tree and the bytes, each line as wide as the screen", () => {
  const p = new Person(opened());
  expect(p.lines).toHaveLength(24);
  for (const l of p.lines) expect(widthOf(l)).toBe(80);
  expect(p.lines[0]).toMatch(/^ wggo-psk-v4\.pcap {2}25 packets, 1 session/);
  expect(p.lines[3]).toMatch(/^ H +1 +0\.0000 10\.77\.0\.1 +10\.77\.0\.2 +WG +190 Handshake Initiation/);
  expect(p.lines[5]).toMatch(/^ D +3 +0\.0008 10\.78\.0\.1 +10\.78\.0\.2 +ICMP +170 Echo \(ping\) request/);
  expect(p.text).toMatch(/^▸ WireGuard Protocol/m);
  expect(p.text).toMatch(/\[Frame\] +Decrypted static +Decrypted timestamp/i);
});

test("movement stays in the list and keeps the chosen packet in sight", () => {
  const p = new Person(opened());
  expect(p.press("up").state.packet).toBe(0);
  expect(p.press("end").state.packet).toBe(24);
  expect(p.chosen).toMatch(/^ k +25 /);
  expect(p.press("down").state.packet).toBe(24);
  expect(p.press("pageup").state.packet).toBeLessThan(20);
  expect(p.press("home", "j", "j", "k").state.packet).toBe(1);
  expect(p.chosen).toMatch(/^ H +2 /);
});

test("o shows the outer packet where keys opened an inner one", () => {
  const p = new Person(opened()).press("o");
  expect(p.lines[5]).toMatch(/^ D +3 +0\.0008 10\.77\.0\.1 +10\.77\.0\.2 +WG /);
});

test("the tree unfolds, stays so in other packets, and marks the bytes of a field", () => {
  const p = new Person(opened()).press("down", "down", "tab");
  expect(p.state.pane).toBe("tree");
  const before = p.text;
  p.press("end");
  expect(p.chosen.trim()).not.toBe("");
  p.press("home", "right", "down");
  expect(p.text).not.toBe(before);
  expect(p.state.unfolded.size).toBeGreaterThan(0);
  const marked = screen(p.press("home", "left", "down").state, p.document)
    .slice(18, 23)
    .flat()
    .some((s) => s.style?.reverse);
  expect(marked, "Ethernet's bytes are marked in the frame").toBe(true);
  // Left on a folded line of the first level goes back to the list.
  expect(p.press("left").state.pane).toBe("list");
});

test("the bytes have tabs: what the keys opened of an initiation, and of data", () => {
  const p = new Person(opened()).press("tab", "tab");
  expect(p.text).toMatch(/\[Frame\].*190 bytes/);
  expect(p.press("right").text).toMatch(/\[Decrypted static\].*32 bytes/i);
  expect(p.press("right").text).toMatch(/\[Decrypted timestamp\].*12 bytes/i);
  expect(p.press("right").text).toMatch(/\[Frame\]/);
  p.press({ name: "tab", shift: true }, { name: "tab", shift: true }, "down", "down", "tab", "tab", "right");
  expect(p.text).toMatch(/\[Decrypted packet\].*84 bytes/i);
  expect(p.text).toContain("0000  45 00 00 54");
});

describe("filters", () => {
  test("/ shows the packets that match; a mistake is explained and can be mended", () => {
    const p = new Person(opened()).press("/").type("wg.type ==");
    expect(caretOf(p.state)).toBe("Filter: wg.type ==".length);
    p.press("return");
    expect(p.state.prompt?.error).toBeTruthy();
    p.type(" 1").press("return");
    expect(p.state.prompt).toBeUndefined();
    expect(p.text).toContain("1 match: wg.type == 1");
    expect(p.document.filter!.matches.length).toBe(1);
  });
  test("fields of the inner packet count", () => {
    const p = new Person(opened()).press("/").type("icmp").press("return");
    const icmp = Array.from({ length: 25 }, (_, i) => i).filter((i) => p.document.look(i).lines.inner[0]?.protocol === "ICMP");
    expect(icmp.length).toBeGreaterThan(5);
    expect(p.text).toContain(`${icmp.length} matches: icmp`);
    expect(p.press("end").state.packet).toBe(icmp.at(-1));
  });
  test("v shows the others too; n and N go from match to match", () => {
    const p = new Person(opened()).press("/").type("wg.type < 3").press("return", "v");
    expect(p.text).toContain("1 of 25");
    expect(p.lines.filter((l) => l.startsWith("▌"))).toHaveLength(2);
    expect(p.press("n").state.packet).toBe(1);
    expect(p.press("n").state.message?.text).toBe("No match after this one");
    expect(p.press("N").state.packet).toBe(0);
    expect(p.press("N").state.message?.text).toBe("No match before this one");
  });
  test("Esc shows all packets again, at the same one; up brings the filter back", () => {
    const p = new Person(opened()).press("/").type("wg.type == 2").press("return");
    p.press("escape");
    expect(p.document.filter).toBeUndefined();
    expect(p.text).toContain("2 of 25");
    p.press("/", "up");
    expect(p.state.prompt?.text).toBe("wg.type == 2");
    expect(p.press("escape").state.prompt).toBeUndefined();
  });
  test("the prompt is edited in place", () => {
    const p = new Person(opened()).press("/").type("abc def").press("left", "left", "left", "backspace");
    expect(p.state.prompt?.text).toBe("abcdef");
    p.press({ name: "u", ctrl: true });
    expect(p.state.prompt?.text).toBe("def");
    p.press("end", { name: "w", ctrl: true });
    expect(p.state.prompt?.text).toBe("");
  });
  test("a search that is under way is stopped by Esc and keeps what it found", () => {
    const p = new Person(opened());
    p.document.search("frame.number > 0");
    p.press("escape");
    expect(p.actions).toEqual([{ kind: "interrupt" }]);
  });
});

test("y copies a filter: of the session, of a field; the filter finds the packet", () => {
  const p = new Person(opened()).press("down", "down", "y");
  expect(p.actions).toEqual([{ kind: "copy", text: "wg.stream == 0" }]);
  p.press("/").type("wg.stream == 0").press("return");
  expect(p.document.filter!.matches.length).toBe(25);
});

test("g goes to a packet, a share, a time, and says what it does not understand", () => {
  const p = new Person(opened());
  const go = (text: string): number | string => {
    p.press("g").type(text).press("return");
    const result = p.state.prompt?.error ?? p.state.packet;
    if (p.state.prompt) p.press("escape");
    return result;
  };
  expect(go("12")).toBe(11);
  expect(go("100%")).toBe(24);
  expect(go("0.3s")).toBe(4);
  expect(go("26")).toBe("there are packets 1 to 25");
  expect(go("99999s")).toMatch(/the capture ends before/);
  expect(go("x")).toMatch(/a packet's number/);
});

test("sessions, timeline and doctor say what the capture shows; Enter shows a session's packets", () => {
  const p = new Person(open("wggo-rekey-any-sll2.pcap"), 100, 40).press("s");
  expect(p.text).toMatch(/0 +0\.7662 \[fd77::1\]:51820 +\[fd77::2\]:51820 +0\.51 ms +0\/50 +0 sealed D4/);
  p.press("t");
  expect(p.text).toMatch(/#0 IR─+/);
  expect(p.text).toContain("5 initiations without an answer");
  expect(p.text).toMatch(/#1 +IR─*∙/);
  p.press("d");
  expect(p.text).toContain("Alarms");
  expect(p.text).toMatch(/5 initiations in 20\.82\d s .* none of them was answered/);
  p.press("s", "down", "return");
  expect(p.state.view).toBe("packets");
  expect(p.document.filter!.text).toBe("wg.stream == 1");
  const { toResponder: a, toInitiator: b } = p.document.sessions[1]!.counts;
  expect(p.document.filter!.matches.length).toBe(2 + a.transport + a.keepalives + b.transport + b.keepalives);
});

test("one pass over a pipe finds the same classes as two over a file, where the keys are there from the start", () => {
  const classes = (d: ViewedCapture): string[] => Array.from({ length: d.length }, (_, i) => d.classOf(i));
  const keys = "wggo-psk-v4.initiator.keys";
  expect(classes(open("wggo-psk-v4.pcap", { keys, live: true, piece: 7 }))).toEqual(classes(open("wggo-psk-v4.pcap", { keys })));
});

test("keys that come later open what is there", () => {
  const d = open("wggo-psk-v4.pcap", { live: true });
  expect(d.classOf(4)).toBe("sealed");
  d.addKeys(parseKeyLog(fromUtf8(readFileSync(path("wggo-psk-v4.initiator.keys")))));
  expect(d.classOf(4)).toBe("data");
  expect(d.look(4).lines.inner[0]?.protocol).toBe("ICMP");
});

test("a pod's packet outside of the tunnel is marked", () => {
  const d = open("leak-nodeA.pcap", { isPod: (ip) => ip.length === 4 && ip[0] === 10 && ip[1] === 244 });
  const all = Array.from({ length: d.length }, (_, i) => d.classOf(i));
  expect(all.filter((c) => c === "plaintext").length).toBeGreaterThan(0);
  const first = all.indexOf("plaintext");
  const p = new Person(d)
    .press("g")
    .type(String(first + 1))
    .press("return");
  expect(p.chosen).toMatch(/^ ! /);
});

test("every field of every packet gives a filter that finds the packet", () => {
  const document = open("wggo-psk-v4.pcap", { keys: "wggo-psk-v4.initiator.keys" });
  for (const i of [0, 1, 2, 3, 22, 24]) {
    const all: TreeNode[] = [];
    const walk = (n: TreeNode): void => {
      all.push(n);
      n.children?.forEach(walk);
    };
    document.look(i).tree.forEach(walk);
    for (const text of new Set(all.map(filterOfNode))) {
      // What counts as displayed is the filter's own doing.
      if (text === undefined || text.startsWith("frame.time_delta_displayed")) continue;
      document.search(text);
      while (document.searchOn());
      expect(document.filter!.matches.has(i), `packet ${i + 1}: ${text}`).toBe(true);
    }
  }
});

test("any keys on any screen: every line fits, nothing throws, no control character is shown", () => {
  const document = opened();
  const keys = [
    "up",
    "down",
    "left",
    "right",
    "pageup",
    "pagedown",
    "home",
    "end",
    "tab",
    "return",
    "escape",
    "backspace",
    "space",
    ...Array.from("/sdtpgfyoznNv?q1w.=jkx"),
  ];
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom(...keys), { maxLength: 60 }),
      fc.integer({ min: 1, max: 160 }),
      fc.integer({ min: 1, max: 60 }),
      (pressed, columns, rows) => {
        const p = new Person(document, columns, rows);
        for (const k of pressed) {
          p.press(k);
          const lines = p.lines;
          if (lines.length !== rows) throw new Error(`${lines.length} lines on ${rows} rows`);
          for (const l of lines) {
            if (widthOf(l) !== columns) throw new Error(`a line of ${widthOf(l)} in ${columns} columns: ${l}`);
            // eslint-disable-next-line no-control-regex
            if (/[\u0000-\u001f\u007f-\u009f]/.test(l)) throw new Error(`a control character in ${JSON.stringify(l)}`);
          }
        }
      },
    ),
    { numRuns: 60 },
  );
});
