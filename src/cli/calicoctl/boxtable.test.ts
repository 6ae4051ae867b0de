import { expect, test } from "vitest";
import { boxTable } from "./boxtable.ts";

// The layout of calicoctl's documentation (ipam show, node status).
test("boxTable(): headings centred in capitals, numbers to the right", () => {
  const rows = [
    ["IP Pool", "10.65.0.0/16", "65536", "5 (0%)"],
    ["IP Pool", "fd5f:abcd:64::/48", "1.2089e+24", "7 (0%)"],
  ];
  expect(boxTable(["Grouping", "CIDR", "IPs total", "IPs in use"], rows)).toBe(`+----------+-------------------+------------+------------+
| GROUPING |       CIDR        | IPS TOTAL  | IPS IN USE |
+----------+-------------------+------------+------------+
| IP Pool  | 10.65.0.0/16      |      65536 | 5 (0%)     |
| IP Pool  | fd5f:abcd:64::/48 | 1.2089e+24 | 7 (0%)     |
+----------+-------------------+------------+------------+
`);
  expect(boxTable(["A"], [])).toBe("+---+\n| A |\n+---+\n");
});
