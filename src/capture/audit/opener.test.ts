import { expect, test } from "vitest";
import { nodeCrypto } from "../../crypto/node.ts";
import { textOf } from "../fixtures.cases.ts";
import { parseKeyLog } from "../keylog.ts";
import { Secrets } from "../secrets.ts";
import { document, leak } from "./audit.cases.ts";
import { Audit } from "./audit.ts";
import { Inventory } from "./inventory.ts";
import { Opener } from "./opener.ts";

const seen = (change: object = {}, damage?: number): Audit => {
  const secrets = new Secrets(nodeCrypto);
  secrets.add(parseKeyLog(textOf("leak.nodeA.keys")));
  const audit = new Audit(nodeCrypto, new Inventory({ ...document, ...change }), { opener: new Opener(nodeCrypto, secrets) });
  for (const p of leak.packets) {
    const data = new Uint8Array(p.data);
    if (p.number === damage) data[data.length - 1]! ^= 1;
    audit.add({ ...p, data }, { name: "a" });
  }
  return audit;
};

test("with the keys of a session every message of it is opened: authenticated", () => {
  expect(seen().encrypted).toMatchObject({ packets: 32, provenPackets: 32, authenticatedPackets: 32 });
});
test("a message whose tag does not verify is a finding", () => {
  const found = seen({}, 30).findings.filter((f) => f.class === "WG_PORT_ABUSE");
  expect(found.map((f) => [f.packets, ...f.notes])).toEqual([[1, "its tag does not verify under the keys of its session"]]);
});
test("and so is a packet from where its sender may not send", () => {
  const nodes = document.nodes.map((n) => ({ ...n, wgAllowedIPs: ["10.9.9.0/24"] }));
  const found = seen({ nodes }).findings.filter((f) => f.class === "WG_PORT_ABUSE");
  expect([...found[0]!.notes].join()).toMatch(/comes from 10\.244\.[12]\.[0-9]+, which node-[ab] may not send from/);
});
