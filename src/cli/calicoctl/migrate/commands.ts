// calicoctl datastore migrate: the words of the command line. https://docs.tigera.io/calico/latest/reference/calicoctl/datastore/migrate/overview
import type { Command } from "commander";
import { onAction, withExamples } from "../../program.ts";
import { printing } from "../session.ts";

export function addDatastore(root: Command, as: string): void {
  const datastore = root.command("datastore").summary("the datastore as a whole");
  const migrate = datastore.command("migrate").summary("move everything to another datastore");
  for (const [word, locked] of [
    ["lock", true],
    ["unlock", false],
  ] as const) {
    const c = migrate.command(word).summary(locked ? "no addresses are given out until it is unlocked" : "addresses are given out again");
    onAction(c, () =>
      printing(c, async (s) => {
        await (await import("../lock.ts")).setLock(await s.checked(), locked);
        return locked ? "Datastore locked.\n" : "Datastore unlocked.\n";
      }),
    );
  }
  const out = migrate.command("export").summary("print all resources, those of IPAM too; the datastore must be locked");
  withExamples(out, [`${as} datastore migrate export > all.txt`]);
  onAction(out, () => printing(out, async (s) => (await import("./export.ts")).exportAll(await s.checked())));

  const into = migrate
    .command("import")
    .summary("write what export printed into an empty datastore")
    .requiredOption("-f, --filename <FILE>", "the file");
  withExamples(into, [`${as} datastore migrate import -f all.txt`]);
  onAction(into, ({ filename }: { filename: string }) =>
    printing(into, async (s) => {
      const [{ readExport }, { importAll }] = await Promise.all([import("./file.ts"), import("./import.ts")]);
      const exported = readExport(filename);
      return importAll(await s.client(), exported);
    }),
  );
}
