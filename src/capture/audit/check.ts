// Checks an inventory document: shape and values. Unknown fields are left alone.
import { fromBase64 } from "../../base/bytes.ts";
import { parseCidr } from "../../base/cidr.ts";
import { TortieError } from "../../base/errors.ts";
import { parseIp } from "../../base/ip.ts";
import type { InventoryDocument } from "./inventory.ts";

type Json = Record<string, unknown>;
/** Throws when the value is not what it must be; `at` is the field's name. */
type Check = (at: string, value: unknown) => void;

const bad = (field: string, why: string): never => {
  throw new TortieError(`Cannot use the inventory: ${field}: ${why}`, { hint: "tortie audit --help shows what an inventory looks like." });
};
const isObject = (v: unknown): v is Json => typeof v === "object" && v !== null && !Array.isArray(v);

const that =
  (ok: (v: unknown) => boolean, what: string): Check =>
  (at, v) =>
    void (ok(v) || bad(at, `must be ${what}`));
const text: Check = that((v) => typeof v === "string" && v !== "", "a text");
const number: Check = that((v) => typeof v === "number" && Number.isFinite(v) && v >= 0, "a number");
const flag: Check = that((v) => typeof v === "boolean", "true or false");
const port: Check = that((v) => typeof v === "number" && Number.isInteger(v) && v >= 1 && v <= 65_535, "a port, 1 to 65535");
const address: Check = that((v) => typeof v === "string" && parseIp(v) !== undefined, "an address");
const range: Check = that((v) => typeof v === "string" && parseCidr(v) !== undefined, "a range such as 10.0.0.0/24");
const key: Check = that((v) => typeof v === "string" && fromBase64(v)?.length === 32, "a public key: base64 of 32 bytes");
const marker: Check = that((v) => typeof v === "string" && /^([0-9a-f]{2}){16,64}$/.test(v), "hex of 16 to 64 bytes");
const packet: Check = that((v) => typeof v === "string" && /^([0-9a-f]{2}){64,512}$/.test(v), "hex of 64 to 512 bytes");

const list =
  (each: Check): Check =>
  (at, v) => {
    if (!Array.isArray(v)) return bad(at, "must be a list");
    v.forEach((x, i) => each(`${at}[${i}]`, x));
  };
const oneOrMore =
  (each: Check): Check =>
  (at, v) =>
    Array.isArray(v) ? list(each)(at, v) : each(at, v);
/** Fields whose name ends in "?" may be absent. */
const object =
  (fields: Readonly<Record<string, Check>>): Check =>
  (at, v) => {
    if (!isObject(v)) return bad(at === "" ? "the document" : at, "must be an object");
    for (const [name, check] of Object.entries(fields)) {
      const field = name.replace("?", "");
      if (name.endsWith("?") && v[field] === undefined) continue;
      check(at === "" ? field : `${at}.${field}`, v[field]);
    }
  };

const OBSERVATION: Check = object({
  node: text,
  from: number,
  to: number,
  links: list(object({ name: text, role: that((v) => v === "wire" || v === "inside", '"wire" or "inside"'), "index?": number, "vfs?": number })),
  "conntrack?": that((v) => typeof v === "string", "a text"),
  "snapshots?": list(
    object({
      time: number,
      "peers?": list(object({ publicKey: key, allowedIPs: list(range), lastHandshake: number })),
      "routes?": list(object({ dst: text, table: text })),
      "rules?": list(object({ priority: number, table: text })),
    }),
  ),
});

const DOCUMENT: Check = object({
  wireguardPort: port,
  "encryption?": flag,
  "hostEncryption?": flag,
  "overlay?": object({ "vxlan?": object({ port }), "geneve?": object({ port }) }),
  "podCIDRs?": list(range),
  "services?": list(object({ name: text, ips: list(address) })),
  "proxyPorts?": list(port),
  nodes: list(
    object({
      name: text,
      ips: list(address),
      podCIDRs: list(range),
      "wgPort?": oneOrMore(port),
      "tunnelIPs?": list(address),
      "wgAllowedIPs?": list(range),
      "wgPublicKey?": oneOrMore(key),
    }),
  ),
  pods: list(
    object({ name: text, node: that((v) => typeof v === "string", "the name of a node"), ips: list(address), "since?": number, "until?": number }),
  ),
  "observed?": list(OBSERVATION),
  "conntrack?": that((v) => isObject(v) && Object.values(v).every((t) => typeof t === "string"), "texts by the names of nodes"),
  "canary?": object({
    marker,
    "nodeMarker?": marker,
    paths: list(object({ path: text, from: text, to: text, sent: number, received: number })),
    controls: list(object({ what: text, seen: number, needed: flag })),
    "remarks?": list(text),
    "notProbed?": list(text),
    "bypass?": object({ packets: list(packet), wires: list(text) }),
  }),
});

/** Throws TortieError that names the field that is wrong. */
export function checkInventory(document: unknown): InventoryDocument {
  DOCUMENT("", document);
  const d = document as InventoryDocument;
  const names = new Set<string>();
  d.nodes.forEach((n, i) => {
    if (names.has(n.name)) bad(`nodes[${i}].name`, "is there twice");
    names.add(n.name);
  });
  return d;
}
