// A minute at full load: the data workers allocate nothing per packet.
import { workerCollections } from "../device/collections.ts";
import type { Scenario } from "./main.ts";

const SECONDS = 15;

export const garbage: Scenario = {
  name: `no garbage in the data workers: four loads of ${SECONDS} s`,
  minutes: 1.5,
  share: 2,
  async run() {
    const { worker, control } = await workerCollections(SECONDS, 3);
    if (worker.length > 0) throw new Error(`${worker.length} collections: ${worker.join("; ")}`);
    return `none collected; the control threads ${control} times`;
  },
};
