// Opens a capture and prints what is inside, or says why it does not open. npm run build && npx tsx examples/open-capture.ts CAPTURE [KEY-LOG]
import { createReadStream, readFileSync } from "node:fs";
import { analyse, examine, linesOf, parseKeyLog, readStream } from "tortie/capture";
import { batchOpener, opensslCrypto } from "tortie/crypto";

const [capture, keyLog] = process.argv.slice(2);
if (!capture) throw new Error("Which capture? examples/open-capture.ts CAPTURE [KEY-LOG]");
const log = parseKeyLog(keyLog ? readFileSync(keyLog, "utf8") : "");
for (const p of log.problems) console.log(`line ${p.line} of ${keyLog}: ${p.why}`);

const options = { crypto: opensslCrypto(), opener: batchOpener(), logs: [log] };
const analysis = await analyse(
  () => readStream(createReadStream(capture)), // it is read twice: keys and handshakes may stand behind what they open
  options,
  (t) => linesOf(t).inner.forEach((line) => console.log(`${t.packet.number} ${line.src} → ${line.dst} ${line.protocol} ${line.info}`)),
);
options.opener.wipe();
for (const session of analysis.sessions) {
  const { opened, diagnosis } = examine(session, analysis.secrets);
  console.log(`session ${session.number}: ${diagnosis ? `${diagnosis.why}. ${diagnosis.needs}` : opened.join("; ")}`);
}
