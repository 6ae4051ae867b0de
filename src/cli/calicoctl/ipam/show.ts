// ipam show: how full pools and blocks are, who borrows, who holds an address, the settings.
import { allocations, ordinalOf, ownerOf } from "../../../agent/ipam/block.ts";
import { inPools } from "../../../agent/ipam/pool.ts";
import type { IPAMBlock } from "../../../api/ipamblock.ts";
import { TortieError } from "../../../base/errors.ts";
import { boxTable } from "../boxtable.ts";
import { addressOf, capacityOf, share, shortNumber } from "./address.ts";
import type { Addresses } from "./load.ts";

export type ShowFlags = { ip?: string; showBlocks?: boolean; showBorrowed?: boolean; showConfiguration?: boolean };

const row = (grouping: string, cidr: string, used: number): string[] => {
  const total = capacityOf(cidr);
  // Reservations are not among the kinds that we know.
  return [grouping, cidr, shortNumber(total), share(used, total), share(0, total), share(total - used, total)];
};
const usedIn = (block: IPAMBlock): number => block.spec.allocations.filter((a) => a !== null).length;

/** A row a pool, its blocks below it where they are wanted; blocks of no pool at the end. */
export function utilization({ pools, blocks }: Addresses, withBlocks: boolean): string {
  const blockRows = (of: readonly IPAMBlock[]): string[][] => (withBlocks ? of.map((b) => row("Block", b.spec.cidr, usedIn(b))) : []);
  const rows = pools.flatMap((p) => {
    const own = blocks.filter((b) => inPools([p], b.spec.cidr));
    return [row("IP Pool", p.spec.cidr, own.reduce((n, b) => n + usedIn(b), 0)), ...blockRows(own)]; // prettier-ignore
  });
  const orphans = blockRows(blocks.filter((b) => !inPools(pools, b.spec.cidr)));
  return boxTable(["Grouping", "CIDR", "IPs total", "IPs in use", "IPs reserved", "IPs free"], [...rows, ...orphans]);
}

/** Addresses that a node has from a block of another. */
export function borrowed({ blocks }: Addresses): string {
  const rows = blocks.flatMap((b) => {
    const owner = ownerOf(b.spec);
    return allocations(b.spec)
      .filter(({ attributes }) => attributes.node !== undefined && attributes.node !== owner)
      .map(({ address, handle = "", attributes: a }) => [
        address,
        a.node!,
        b.spec.cidr,
        owner ?? "",
        a.pod === undefined ? (a.type ?? "") : "pod",
        a.pod === undefined ? handle : `${a.namespace ?? "default"}/${a.pod}`,
      ]);
  });
  const ownerless = blocks.flatMap((b) => allocations(b.spec)).filter(({ attributes }) => attributes.node === undefined).length;
  const note = `\nNote: found ${ownerless} IP allocations without an explicit node association. Unable to determine if they are borrowed.\n`;
  return boxTable(["IP", "Borrowing-Node", "Block", "Block Owner", "Type", "Allocated-To"], rows) + (ownerless > 0 ? note : "");
}

export function configurationTable({ configuration }: Addresses): string {
  const { strictAffinity = false, autoAllocateBlocks = true, maxBlocksPerHost = 0 } = configuration?.spec ?? {};
  return boxTable(
    ["Property", "Value"],
    [
      ["StrictAffinity", String(strictAffinity)],
      ["AutoAllocateBlocks", String(autoAllocateBlocks)],
      ["MaxBlocksPerHost", String(maxBlocksPerHost)],
    ],
  );
}

/** Who holds one address. */
export function holder({ blocks }: Addresses, typed: string): string {
  const ip = addressOf(typed);
  const block = blocks.find((b) => ordinalOf(b.spec, ip) !== undefined);
  const found = block && allocations(block.spec).find((a) => ordinalOf(block.spec, a.address) === ordinalOf(block.spec, ip));
  if (!found) return `${ip} is not assigned\n`;
  const attributes = Object.entries(found.attributes).sort(([a], [b]) => (a < b ? -1 : 1));
  return [
    `IP ${ip} is in use`,
    `Handle ID: ${found.handle ?? "<none>"}`,
    ...(attributes.length === 0
      ? ["No Active Owner attributes defined"]
      : ["Active Owner Attributes:", ...attributes.map(([k, v]) => `  ${k}: ${v}`)]),
    "",
  ].join("\n");
}

/** The text of ipam show. */
export function show(addresses: Addresses, flags: ShowFlags): string {
  const asked = [flags.ip !== undefined, flags.showBorrowed, flags.showConfiguration].filter(Boolean).length;
  if (asked > 1) throw new TortieError("Cannot show several things at once: use one of --ip, --show-borrowed and --show-configuration");
  if (flags.ip !== undefined) return holder(addresses, flags.ip);
  if (flags.showBorrowed) return borrowed(addresses);
  if (flags.showConfiguration) return configurationTable(addresses);
  return utilization(addresses, flags.showBlocks ?? false);
}
