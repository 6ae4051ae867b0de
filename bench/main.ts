// npm run bench: every benchmark, one after the other. Arguments go to the device's; the cluster's takes its rounds from them, and is left out when only
// some figures are wanted.
import { parseArgs } from "node:util";
import { main as capture } from "./capture.ts";
import { main as cluster } from "./cluster.ts";
import { main as device } from "./device.ts";
import { main as flood } from "./flood.ts";
import { main as inspect } from "./inspect.ts";
import { main as store } from "./store.ts";

const args = process.argv.slice(2);
const { values } = parseArgs({ args, strict: false, options: { rounds: { type: "string" }, only: { type: "string" }, help: { type: "boolean" } } });
await device(args);
if (values.help === undefined && values.only === undefined) {
  process.stdout.write("\n");
  await flood(typeof values.rounds === "string" ? ["--rounds", values.rounds] : []);
  process.stdout.write("\n");
  await cluster(typeof values.rounds === "string" ? ["--rounds", values.rounds] : []);
  process.stdout.write("\n");
  await capture(typeof values.rounds === "string" ? ["--rounds", values.rounds] : []);
  process.stdout.write("\n");
  await inspect(typeof values.rounds === "string" ? ["--rounds", values.rounds] : []);
  process.stdout.write("\n");
  await store(typeof values.rounds === "string" ? ["--rounds", values.rounds] : []);
}
