import { expect, test } from "vitest";
import { addressOf, capacityOf, share, shortNumber } from "./address.ts";

// Expected: Go's fmt.Sprintf("%.5g").
test.for([
  [0, "0"],
  [64, "64"],
  [65536, "65536"],
  [99999, "99999"],
  [100000, "1e+05"],
  [131072, "1.3107e+05"],
  [1048576, "1.0486e+06"],
  [2 ** 80, "1.2089e+24"],
] as const)("shortNumber(%d) is %s", ([n, text]) => expect(shortNumber(n)).toBe(text));

test("share() adds up to 100", () => {
  expect([share(5, 64), share(59, 64)]).toEqual(["5 (8%)", "59 (92%)"]);
  expect(share(0, 0)).toBe("0 (0%)");
});
test("capacityOf()", () => expect(["10.0.0.0/26", "fd00::/122", "10.0.0.1/32", "x"].map(capacityOf)).toEqual([64, 64, 1, 0]));
test("addressOf() gives the usual form", () => {
  expect(addressOf("FD00:0::1")).toBe("fd00::1");
  expect(() => addressOf("10.0.0")).toThrow("invalid IP address: 10.0.0");
});
