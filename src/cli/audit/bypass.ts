// Sends the control that goes past the tunnel on purpose, by every wire, while it is captured. A program of ours in each machine does it: `tortie audit
// --send-control`, which takes what to send as JSON from its standard input.
import { randomBytes } from "node:crypto";
import { messageOf } from "../../base/errors.ts";
import { fromHex, toHex } from "../../base/bytes.ts";
import { bypassPackets, NEAREST_BRIDGE } from "../../capture/audit/bypass.ts";
import { Inventory, type InventoryCanary, type InventoryDocument } from "../../capture/audit/inventory.ts";
import { run } from "../../sys/exec.ts";
import { sendOnLink } from "../../sys/linkpacket.ts";
import { commandIn, type Place, tortie } from "./place.ts";

type Order = { readonly links: readonly string[]; readonly packets: readonly string[] };
/** Why a link could not be sent by. */
type Failed = { readonly link: string; readonly why: string };
type Sent = { bypass: NonNullable<InventoryCanary["bypass"]>; remarks: string[] };

const IPV4 = 0x0800;
const IPV6 = 0x86dd;

export async function sendBypass(
  document: InventoryDocument,
  wires: readonly { readonly place: Place; readonly links: readonly string[] }[],
): Promise<Sent> {
  const packets = bypassPackets(new Inventory(document), randomBytes(32)).map(toHex);
  if (packets.length === 0) return { bypass: { packets, wires: [] }, remarks: [] };
  const sent: Sent = { bypass: { packets, wires: [] }, remarks: [] };
  await Promise.all(
    wires.map(async ({ place, links }) => {
      const failed = await order(place, { links, packets });
      for (const link of links) {
        const why = failed.find((f) => f.link === link)?.why;
        if (why === undefined) sent.bypass.wires.push(`${place.node}/${link}`);
        else sent.remarks.push(`no control was sent by ${place.node}/${link}: ${why}`);
      }
    }),
  );
  return sent;
}

async function order(place: Place, what: Order): Promise<Failed[]> {
  const [file, ...args] = commandIn(place, ...tortie(), "audit", "--send-control");
  try {
    return JSON.parse((await run(file, args, { env: place.env, timeoutMs: 30_000, input: JSON.stringify(what) })).stdout) as Failed[];
  } catch (e) {
    return what.links.map((link) => ({ link, why: messageOf(e) }));
  }
}

/** What `--send-control` does: a line of JSON says which links failed. Throws SyntaxError when the order is none. */
export function obey(text: string): string {
  const { links, packets } = JSON.parse(text) as Order;
  const failed: Failed[] = [];
  for (const link of links) {
    try {
      for (const p of packets.map((hex) => fromHex(hex)!)) sendOnLink(link, p.length > 0 && p[0]! >> 4 === 4 ? IPV4 : IPV6, NEAREST_BRIDGE, p);
    } catch (e) {
      failed.push({ link, why: messageOf(e) });
    }
  }
  return JSON.stringify(failed);
}
