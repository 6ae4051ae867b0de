import { expect, test } from "vitest";
import { lackingCapabilities } from "./requirements.ts";

test.for([
  ["000001ffffffffff", []],
  ["00000000a80425fb", ["CAP_NET_ADMIN", "CAP_SYS_ADMIN"]], // Docker's default set
  ["00000000a82435fb", []],
  ["00000000a80435fb", ["CAP_SYS_ADMIN"]],
] as const)("lackingCapabilities() of %s", ([effective, lacking]) =>
  expect(lackingCapabilities(`Name:\tnode\nCapPrm:\t000001ffffffffff\nCapEff:\t${effective}\nCapBnd:\t0\n`)).toEqual(lacking),
);
