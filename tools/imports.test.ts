import { expect, test } from "vitest";
import { violations } from "./imports.ts";

test.for([
  { file: "wireguard/noise.ts", text: `import { a } from "../base/bytes.ts";`, bad: 0 },
  { file: "wireguard/noise.ts", text: `import { a } from "./mac.ts";`, bad: 0 },
  { file: "wireguard/noise.ts", text: `import type { A } from "../sys/ffi.ts";`, bad: 1 },
  { file: "base/ip.ts", text: `export * from "../wireguard/index.ts";`, bad: 1 },
  { file: "agent/calc/peers.ts", text: `import { a } from "../../client/index.ts";\nconst b = import("../../lab/index.ts");`, bad: 1 },
  { file: "cli/lab.ts", text: `import { a } from "../nosuch/index.ts";`, bad: 1 },
])("violations() of $file", ({ file, text, bad }) => expect(violations(file, text)).toHaveLength(bad));
