// Writes a capture again as pcapng: what keys open stands in each packet's comment, for who must not have the keys.
// npm run build && npx tsx examples/annotate.ts CAPTURE KEY-LOG OUTPUT; Wireshark shows it as frame.comment.
import { closeSync, createReadStream, openSync, readFileSync, writeSync } from "node:fs";
import { analyse, linesOf, parseKeyLog, PcapngWriter, readStream } from "tortie/capture";
import { batchOpener, opensslCrypto } from "tortie/crypto";

const [capture, keyLog, output] = process.argv.slice(2);
if (!capture || !keyLog || !output) throw new Error("Usage: annotate.ts CAPTURE KEY-LOG OUTPUT");
const file = openSync(output, "wx", 0o600);
const writer = new PcapngWriter((bytes) => void writeSync(file, bytes), { comment: `annotated: ${capture}` });
const numbers = new Map<number, number>(); // of interfaces as written, by those of the capture
const opener = batchOpener();
await analyse(
  () => readStream(createReadStream(capture)),
  { crypto: opensslCrypto(), opener, logs: [parseKeyLog(readFileSync(keyLog, "utf8"))] },
  (t) => {
    const { iface, time, data, originalLength, comments } = t.packet;
    if (!numbers.has(iface.id))
      numbers.set(iface.id, writer.addInterface({ link: iface.link, snaplen: iface.snaplen, name: iface.name ?? "captured" }));
    const inside = linesOf(t).inner.map((line) => `inside: ${line.src} → ${line.dst} ${line.protocol} ${line.info}`);
    writer.packet(numbers.get(iface.id)!, { time: time ?? 0n, data, originalLength, comments: [...comments, ...inside] });
  },
);
opener.wipe();
closeSync(file);
