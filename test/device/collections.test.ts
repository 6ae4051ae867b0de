import { expect, test } from "vitest";
import { describeRoot, describeWith } from "../peers.ts";
import { workerCollections } from "./collections.ts";

describeWith(["wg", "ping", "iperf3"], "garbage", () => {
  describeRoot("of the data worker", () => {
    test("there is none: no collection under load, whatever its shape", async () => {
      const { worker } = await workerCollections(2);
      expect(worker).toEqual([]);
    });
  });
});
