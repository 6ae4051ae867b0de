// Looks for unencrypted pod traffic in a capture of a node: npm run build && npx tsx examples/leak-audit.ts CAPTURE INVENTORY NODE
// The exit code is tortie audit's: 0 for PASS, 2 for FAIL, 3 where the capture proves nothing.
import { createReadStream, readFileSync } from "node:fs";
import { Audit, EXIT_CODES, Inventory, readStream, reportOf } from "tortie/capture";
import { opensslCrypto } from "tortie/crypto";

const [capture, inventory, node] = process.argv.slice(2);
if (!capture || !inventory || !node) throw new Error("Usage: leak-audit.ts CAPTURE INVENTORY NODE");
const source = { name: capture, node };
const audit = new Audit(opensslCrypto(), new Inventory(JSON.parse(readFileSync(inventory, "utf8"))), { sources: [source] });
for await (const events of readStream(createReadStream(capture)))
  for (const e of events) {
    if (e.kind === "packet") {
      const frame = audit.add(e.packet, source);
      if (frame?.comment) console.log(`packet ${e.packet.number}: ${frame.comment}`);
    } else if (e.kind === "interface") audit.announce(source);
    else if (e.kind === "statistics") audit.statistics(e.statistics);
    else if (e.kind === "damage") audit.damage(source, e.damage);
  }
const { verdict, preconditions } = reportOf(audit, audit.judge(), { subject: capture });
for (const p of preconditions) if (p.state === "missing") console.log(`${p.id} ${p.what}: ${p.evidence}`);
console.log(`${verdict}: ${audit.findings.length} flows of pods unencrypted`);
process.exitCode = EXIT_CODES[verdict];
