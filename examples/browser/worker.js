// Reads a capture as a stream, twice, opens what its keys open, and writes the inner packets into a pcapng of their own. Memory does not grow with the file
// but for that copy.
import { analyse, examine, InnerWriter, linesOf, parseKeyLog, readStream } from "tortie/capture";
import { nobleCrypto as crypto, wasmOpener } from "tortie/crypto/noble";

onmessage = async ({ data: { capture, keys } }) => {
  try {
    await open(capture, keys ? await keys.text() : "");
  } catch (e) {
    postMessage({ done: 1, failed: e.message });
  }
};

async function open(capture, keys) {
  // WebAssembly is six times as fast as noble; where the page forbids it, noble alone does.
  const opener = wasmOpener(crypto);
  const parts = [];
  const writer = new InnerWriter((bytes) => void parts.push(bytes.slice()));
  let [packets, lines] = [0, []];
  const log = parseKeyLog(keys);
  const analysis = await analyse(source(capture), { crypto, logs: [log], ...(opener ? { opener } : {}) }, (t) => {
    packets++;
    const { inner } = linesOf(t);
    for (const line of inner) lines.push(`${t.packet.number} ${line.src} → ${line.dst} ${line.protocol} ${line.info}`);
    writer.packet(t);
    if (packets % 1000 > 0) return;
    postMessage({ done: 0.5, lines });
    lines = [];
  });
  opener?.wipe();
  const sessions = analysis.sessions.map((s) => {
    const { opened: known, diagnosis } = examine(s, analysis.secrets);
    return diagnosis ? `does not open: ${diagnosis.why}. ${diagnosis.needs}` : known.join("; ");
  });
  const problems = log.problems.map((p) => `key log, line ${p.line}: ${p.why}`);
  postMessage({ done: 1, lines, sessions: [...sessions, ...problems], packets, opened: writer.written, inner: new Blob(parts) });
}

/** The capture from its beginning, at each call. */
const source = (capture) => () =>
  readStream(capture.name.endsWith(".gz") ? capture.stream().pipeThrough(new DecompressionStream("gzip")) : capture.stream());
