// `tortie server backup` and `tortie server restore`.
import { existsSync, mkdirSync } from "node:fs";
import { join, resolve } from "node:path";
import type { Command } from "commander";
import { holdDirectory, holderOf } from "../../apiserver/hold.ts";
import { TortieError } from "../../base/errors.ts";
import { readBackup, restore as restoreStore, writeBackup } from "../../store/backup.ts";
import { readLive, storeFile } from "../../store/lmdb.ts";
import { readSnapshot } from "../../store/snapshot.ts";
import { onAction, withExamples } from "../program.ts";

const EXAMPLE = "/backup/tortie-2026-11-23";
export const BACKUP_EXAMPLE: string = `tortie server backup --data /var/lib/tortie ${EXAMPLE}`;

/** Adds the two sub-commands to `tortie server`. */
export function addBackup(command: Command): void {
  for (const [name, run, summary] of [
    ["backup", backup, "write everything that is stored to a new file; the server may be running"],
    ["restore", restore, "put a backup in the place of the store; the server must not be running"],
  ] as const) {
    const sub = withExamples(command.command(name).description(summary), [`tortie server ${name} --data /var/lib/tortie ${EXAMPLE}`])
      .argument("<file>", "the backup")
      .option("--data <dir>", "directory of the server");
    // --data also stands before the word; commander gives it to whichever it is written after.
    onAction(sub, (file: string, options: { data?: string }) => {
      const data = options.data ?? (command.opts().data as string | undefined);
      if (data === undefined) throw new TortieError(`Cannot ${name} the store: --data is missing`, { hint: "It is the --data of the server." });
      return run(data, file);
    });
  }
}

const keys = (n: number): string => `${n} ${n === 1 ? "key" : "keys"}`;

/** Writes FILE from the store in `data`, whose server may be running. Throws TortieError. */
async function backup(data: string, file: string): Promise<number> {
  process.umask(0o077);
  const path = storeFile(join(resolve(data), "store"));
  if (!existsSync(path))
    throw new TortieError(`Cannot back up "${data}": there is no store in it`, {
      hint: "--data is that of the server. What a server keeps in etcd is backed up by `etcdctl snapshot save`.",
    });
  // A store that nobody writes is checked page by page; one that is served was.
  const state = holderOf(resolve(data)) === undefined ? readSnapshot(path) : await readLive(path);
  if (!state) throw new TortieError(`Cannot back up "${data}": nothing was ever stored in it`);
  const current = [...state.current];
  writeBackup(resolve(file), { revision: state.revision, current }, Date.now());
  process.stdout.write(
    `wrote ${file}: ${keys(current.length)} at revision ${state.revision}; the certificate authority (${join(data, "pki")}) is not in it\n`,
  );
  return 0;
}

/** Puts FILE in the place of the store in `data`, whose server must not run. Throws TortieError. */
async function restore(data: string, file: string): Promise<number> {
  process.umask(0o077);
  const directory = resolve(data);
  const contents = readBackup(file);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const release = holdDirectory(directory);
  try {
    const { revision, replaced } = await restoreStore(join(directory, "store"), contents);
    process.stdout.write(
      `restored ${keys(contents.current.length)} of revision ${contents.revision}; resource versions go on at ${revision}${replaced === undefined ? "" : `; the store that was there is kept as ${replaced}`}\n`,
    );
    return 0;
  } finally {
    release();
  }
}
