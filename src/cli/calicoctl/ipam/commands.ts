// calicoctl ipam: the words of the command line. https://docs.tigera.io/calico/latest/reference/calicoctl/ipam/overview
import type { Command } from "commander";
import { onAction, withExamples } from "../../program.ts";
import { VERSION } from "../../version.ts";
import { printing } from "../session.ts";
import type { CheckFlags } from "./check.ts";
import type { ConfigureFlags } from "./configure.ts";
import type { ReleaseFlags } from "./release.ts";
import type { ShowFlags } from "./show.ts";
import type { SplitFlags } from "./split.ts";

function addShow(ipam: Command, as: string): void {
  const c = ipam
    .command("show")
    .summary("how full pools are, or who holds an address")
    .option("--ip <IP>", "who holds this address")
    .option("--show-blocks", "blocks of the pools as well")
    .option("--show-borrowed", "addresses that a node has from a block of another")
    .option("--show-configuration", "the settings of IPAM")
    .option("--from-snapshot <FILE>", "as it was when `datastore migrate export` wrote this file");
  withExamples(c, [`${as} ipam show --show-blocks`, `${as} ipam show --ip=172.16.0.1`]);
  onAction(c, (flags: ShowFlags & { fromSnapshot?: string }) =>
    printing(c, async (s) => {
      const [{ show }, { loadAddresses }] = await Promise.all([import("./show.ts"), import("./load.ts")]);
      if (flags.fromSnapshot === undefined) return show(await loadAddresses(await s.checked()), flags);
      const { addressesOf, readExport } = await import("../migrate/file.ts");
      return show(addressesOf(readExport(flags.fromSnapshot)), flags);
    }),
  );
}

function addCheck(ipam: Command, as: string): void {
  const c = ipam
    .command("check")
    .summary("compare the addresses given out with those in use")
    .option("--show-all-ips", "every address")
    .option("--show-problem-ips", "every address with a problem")
    .option("-o, --output <FILE>", "write a report, for `ipam release --from-report`");
  withExamples(c, [`${as} ipam check --show-problem-ips`, `${as} ipam check -o report.json`]);
  onAction(c, (flags: CheckFlags & { output?: string }) =>
    printing(c, async (s) => {
      const [{ check }, { loadAddresses, loadUsers }, { writeReport }, { clusterInformation, isLocked }] = await Promise.all([
        import("./check.ts"),
        import("./load.ts"),
        import("./report.ts"),
        import("../lock.ts"),
      ]);
      const client = await s.checked();
      const [addresses, users] = await Promise.all([loadAddresses(client), loadUsers(client)]);
      const { text, ...found } = check(addresses, users, flags);
      if (flags.output !== undefined) {
        const cluster = await clusterInformation(client);
        writeReport(flags.output, {
          version: VERSION,
          clusterGUID: cluster.spec?.clusterGUID ?? "",
          datastoreLocked: isLocked(cluster),
          clusterInformationRevision: cluster.metadata.resourceVersion ?? "",
          ...found,
        });
      }
      return text;
    }),
  );
}

function addRelease(ipam: Command, as: string): void {
  const c = ipam
    .command("release")
    .summary("give back an address that nobody uses any more")
    .option("--ip <IP>", "this address")
    .option(
      "--from-report <FILE>",
      "what `ipam check -o` found leaked; given again, what all reports agree on",
      (file: string, before: string[]) => [...before, file],
      [],
    )
    .option("--force", "also while the datastore is not locked");
  withExamples(c, [`${as} ipam release --ip=172.16.0.7`, `${as} ipam release --from-report=report.json`]);
  onAction(c, (flags: ReleaseFlags) => printing(c, async (s) => (await import("./release.ts")).release(flags, s.checked)));
}

function addSplit(ipam: Command, as: string): void {
  const c = ipam
    .command("split")
    .summary("make several pools of one")
    .argument("<NUMBER>", "how many: a power of 2")
    .option("--cidr <CIDR>", "the pool of this range")
    .option("--name <POOL>", "the pool of this name");
  withExamples(c, [`${as} ipam split 4 --cidr=172.16.0.0/16`]);
  onAction(c, (count: string, flags: SplitFlags) => printing(c, async (s) => (await import("./split.ts")).split(count, flags, s.checked)));
}

function addConfigure(ipam: Command, as: string): void {
  const c = ipam
    .command("configure")
    .summary("change the settings of IPAM")
    .option("--strictaffinity <BOOL>", "nodes take no addresses from blocks of other nodes")
    .option("--max-blocks-per-host <NUMBER>", "blocks that a node may have; 0: no limit");
  withExamples(c, [`${as} ipam configure --strictaffinity=true`]);
  onAction(c, (flags: ConfigureFlags) => printing(c, async (s) => (await import("./configure.ts")).configure(flags, s.checked)));
}

export function addIpam(root: Command, as: string): void {
  const ipam = root.command("ipam").summary("addresses of pods and tunnels").description("Shows, checks and mends what IPAM knows of addresses.");
  for (const add of [addShow, addCheck, addRelease, addSplit, addConfigure]) add(ipam, as);
}
