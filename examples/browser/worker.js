// Reads a capture as a stream, twice, opens what its keys open, and writes the inner packets into a pcapng of their own. Memory does not grow with the file
// but for that copy.
import { analyse, examine, linesOf, parseKeyLog, PcapngWriter, readStream } from "tortie/capture";
import { nobleCrypto as crypto, wasmOpener } from "tortie/crypto/noble";
import { LINK_RAW } from "tortie/packet";

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
  const writer = new PcapngWriter((bytes) => void parts.push(bytes.slice()), { comment: `inner packets of ${capture.name}` });
  const iface = writer.addInterface({ link: LINK_RAW, name: "decrypted" });
  let [packets, opened, lines] = [0, 0, []];
  const log = parseKeyLog(keys);
  const analysis = await analyse(source(capture), { crypto, logs: [log], ...(opener ? { opener } : {}) }, (t) => {
    packets++;
    const { inner } = linesOf(t);
    for (const line of inner) lines.push(`${t.packet.number} ${line.src} → ${line.dst} ${line.protocol} ${line.info}`);
    for (const m of t.messages) {
      if (!m.opened || m.opened.length === 0) continue;
      opened++;
      writer.packet(iface, { time: t.packet.time ?? 0n, data: m.opened.bytes });
    }
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
  postMessage({ done: 1, lines, sessions: [...sessions, ...problems], packets, opened, inner: new Blob(parts) });
}

/** The capture from its beginning, at each call. */
const source = (capture) => () =>
  readStream(capture.name.endsWith(".gz") ? capture.stream().pipeThrough(new DecompressionStream("gzip")) : capture.stream());
