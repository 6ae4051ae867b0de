// npm run bench: every benchmark, one after the other. Arguments go to each: --rounds N, --seconds N.
import { main as cluster } from "./cluster.ts";
import { main as device } from "./device.ts";

await device(process.argv.slice(2));
process.stdout.write("\n");
await cluster(process.argv.slice(2));
