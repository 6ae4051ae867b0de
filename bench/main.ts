// npm run bench: every benchmark, one after the other. Arguments go to the device's; the cluster's takes its rounds from them.
import { main as cluster } from "./cluster.ts";
import { main as device } from "./device.ts";

const args = process.argv.slice(2);
await device(args);
const rounds = args.indexOf("--rounds");
process.stdout.write("\n");
await cluster(rounds < 0 ? [] : args.slice(rounds, rounds + 2));
