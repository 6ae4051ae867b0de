// A worker that a page asks about a capture: rows of its list, one packet's tree and bytes, sessions, a search, completion, export. The file is read where it
// lies, at any place, so that its size does not matter; nothing but answers leaves the worker. { id, ask, ... } in, { id, answer } or { id, failed } out.
import {
  CaptureDocument,
  complete,
  Conversations,
  examine,
  InnerWriter,
  keyLogFor,
  parseKeyLog,
  Rewriter,
  roundTrip,
  windowed,
} from "tortie/capture";
import { nobleCrypto as crypto, wasmOpener } from "tortie/crypto/noble";

const PIECE = 1 << 20;
let file, capture, conversations;

const asked = {
  /** Opens a File; `keys` is a key log's text. Packets can be asked for while it goes on: it makes way after each piece. */
  async open({ file: chosen, keys = "" }) {
    file = chosen;
    conversations = new Conversations();
    const reader = new FileReaderSync();
    const opener = wasmOpener(crypto);
    const read = windowed((offset, length) => new Uint8Array(reader.readAsArrayBuffer(file.slice(offset, offset + length))));
    const each = (t) => conversations.add(t);
    capture = new CaptureDocument({ crypto, read, logs: [parseKeyLog(keys)], each, ...(opener ? { opener } : {}) });
    for await (const bytes of pieces("learning")) capture.learn(bytes);
    capture.learned();
    for await (const bytes of pieces("opening")) capture.open(bytes);
    capture.opened();
    return { packets: capture.length, problems: capture.problems, damage: capture.facts.damage };
  },
  /** Rows `from` to `to` of the list; of what the search found, when there is one. */
  rows({ from, to }) {
    const found = capture.filter?.matches;
    const end = Math.min(to, found ? found.length : capture.length);
    return Array.from({ length: Math.max(0, end - from) }, (_, i) => row(found ? found.at(from + i) : from + i));
  },
  /** Tree lines say by `pane`, `at` and `length` which bytes they stand for. */
  packet: ({ number }) => ({ tree: capture.look(number).tree, panes: capture.look(number).panes }),
  sessions: () =>
    capture.sessions.map((s) => {
      const { opened, diagnosis } = examine(s, capture.secrets);
      return { number: s.number, roundTrip: roundTrip(s), opened, diagnosis, marks: capture.marks.of(s.number) };
    }),
  conversations: () => conversations.list(),
  complete: ({ filter, caret }) => complete(filter, caret),
  /** Searches in slices of 20 ms; a new search ends the one before. */
  async search({ filter }) {
    capture.search(filter);
    const mine = capture.filter;
    for (let end = performance.now() + 20; capture.filter === mine && capture.searchOn(() => performance.now() > end); end = performance.now() + 20)
      await way();
    return { matches: mine ? mine.matches.length : capture.length };
  },
  /** The packets of these numbers as a pcapng: "keys": with what opens them; "none": without any key; "inner": what was inside the tunnel. */
  export({ numbers, secrets }) {
    const parts = [];
    const sink = (bytes) => void parts.push(bytes.slice());
    if (secrets === "inner") {
      const writer = new InnerWriter(sink);
      for (const n of numbers) writer.packet(capture.look(n).tracked);
    } else {
      const chosen = numbers.map((n) => capture.look(n).tracked);
      const sessions = new Set(chosen.flatMap((t) => t.messages.flatMap((m) => m.session ?? [])));
      const keyLog = secrets === "keys" ? keyLogFor([...sessions], capture.secrets).text : "";
      const writer = new Rewriter(capture.facts, () => sink, { keyLog, together: true });
      for (const t of chosen) writer.packet(t.packet);
      writer.end();
    }
    return new Blob(parts);
  },
};

const row = (number) => ({ number, time: capture.time(number), class: capture.classOf(number), ...capture.look(number).lines });

async function* pieces(doing) {
  for (let at = 0; at < file.size; at += PIECE) {
    yield new Uint8Array(await file.slice(at, at + PIECE).arrayBuffer());
    postMessage({ doing, done: Math.min(1, (at + PIECE) / file.size) });
    await way();
  }
}
/** Lets what was asked meanwhile be answered. */
const way = () => new Promise((resolve) => setTimeout(resolve));

onmessage = async ({ data: { id, ask, ...rest } }) => {
  try {
    postMessage({ id, answer: await asked[ask](rest) });
  } catch (e) {
    postMessage({ id, failed: e.message, hint: e.hint });
  }
};
