import { expect, test } from "vitest";
import { tableOf } from "./table.ts";

// Expected layouts: calicoctl's own output (Go's text/tabwriter with minimum 5, padding 3, every cell ended by a tab).
test.for([
  { name: "one column, short", rows: [["NAME"], ["a"]], text: "NAME   \na      \n\n" },
  { name: "minimum width counts with its padding", rows: [["A"], ["b"]], text: "A    \nb    \n\n" },
  {
    name: "the last cell is padded too",
    rows: [
      ["NAME", "CIDR", "SELECTOR"],
      ["default-ipv4-ippool", "172.16.0.0/16", "all()"],
    ],
    text: "NAME                  CIDR            SELECTOR   \ndefault-ipv4-ippool   172.16.0.0/16   all()      \n\n",
  },
  { name: "headings only", rows: [["NAME", "IPV4"]], text: "NAME   IPV4   \n\n" },
  { name: "empty cells", rows: [["NAME", "IPV6"], ["n", ""]], text: "NAME   IPV6   \nn             \n\n" }, // prettier-ignore
])("tableOf() lays out: $name", ({ rows, text }) => {
  expect(tableOf(rows)).toBe(text);
});
