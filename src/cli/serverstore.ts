// Where `tortie server` keeps its objects: in its own directory, or in an etcd that other servers use too.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Command } from "commander";
import { messageOf, TortieError } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import type { Store } from "../store/store.ts";

export type StoreOptions = {
  store: string;
  etcdCa?: string;
  etcdCert?: string;
  etcdKey?: string;
  etcdUser?: string;
  etcdPasswordFile?: string;
  etcdPrefix: string;
};

export const addStoreOptions = (command: Command): Command =>
  command
    .option("--store <store>", "embedded: in --data; etcd=URL,URL,…: in an etcd, 3.5.8 or newer, that several servers may share", "embedded")
    .option("--etcd-ca <file>", "certificates that the members' certificates are signed with (PEM; default: the system's)")
    .option("--etcd-cert <file>", "certificate that etcd knows this server by (PEM)")
    .option("--etcd-key <file>", "its key")
    .option("--etcd-user <name>", "log in to etcd with this name")
    .option("--etcd-password-file <file>", "and the password in this file")
    .option("--etcd-prefix <prefix>", "what every key in etcd begins with", "/tortie")
    .addHelpText(
      "after",
      `
Several servers on one etcd: each gets a --data of its own, and all of them the same certificate authority: copy DIR/pki of the first
to the others before they start. Clients may use any of them. docs/etcd.md has the rest.
`,
    );

export type StoreOpener = {
  /** Other servers may use the store too. */
  readonly shared: boolean;
  /** `directory`: of the embedded store. Throws TortieError. */
  open(directory: string, log: Log): Promise<Store>;
};

/** Checks the options. Throws TortieError. */
export function storeOpener(options: StoreOptions): StoreOpener {
  const { store, etcdCa, etcdCert, etcdKey, etcdUser, etcdPasswordFile, etcdPrefix } = options;
  const refuse = (why: string, hint = "tortie server --help explains it."): never => {
    throw new TortieError(`Cannot start the server: ${why}`, { hint });
  };
  if (store === "embedded") {
    if ([etcdCa, etcdCert, etcdKey, etcdUser, etcdPasswordFile].some((o) => o !== undefined))
      refuse("--etcd-… options are there, but --store names no etcd", "Add --store etcd=https://HOST:2379.");
    return {
      shared: false,
      open: async (directory, log) => (await import("../store/lmdb.ts")).openLmdbStore(directory, Date.now, log),
    };
  }
  const members = /^etcd=(.+)$/.exec(store)?.[1] ?? refuse('--store must be "embedded" or "etcd=URL,URL,…"');
  if ((etcdCert === undefined) !== (etcdKey === undefined)) refuse("--etcd-cert and --etcd-key belong together");
  if ((etcdUser === undefined) !== (etcdPasswordFile === undefined)) refuse("--etcd-user and --etcd-password-file belong together");
  if (!/^\/[A-Za-z0-9/_.-]*[A-Za-z0-9_.-]$/.test(etcdPrefix)) refuse("--etcd-prefix must begin with a slash and end without one");
  return {
    shared: true,
    async open(directory, log) {
      if (existsSync(join(directory, "store.mdb"))) log.warn("the store in --data is not used, and not copied into etcd", { directory });
      const [{ parseEndpoints }, { EtcdStore }] = await Promise.all([import("../store/etcd/endpoints.ts"), import("../store/etcd/store.ts")]);
      const endpoints = parseEndpoints(members);
      const tls = (): object => ({
        ...(etcdCa === undefined ? {} : { ca: read("--etcd-ca", etcdCa) }),
        ...(etcdCert === undefined ? {} : { certificate: read("--etcd-cert", etcdCert) }),
        ...(etcdKey === undefined ? {} : { key: read("--etcd-key", etcdKey) }),
      });
      if (!endpoints[0]!.tls) {
        if (etcdCa ?? etcdCert) refuse("--etcd-ca and --etcd-cert are for members at https URLs");
        log.warn("etcd is reached without TLS: whoever is on the way can read and change everything");
      }
      const login =
        etcdUser === undefined
          ? undefined
          : {
              user: etcdUser,
              password: () =>
                read("--etcd-password-file", etcdPasswordFile!)
                  .toString()
                  .replace(/\r?\n$/, ""),
            };
      return EtcdStore.open({ endpoints, tls, login, prefix: etcdPrefix, log, wall: Date.now });
    },
  };
}

function read(option: string, path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (cause) {
    const missing = (cause as NodeJS.ErrnoException).code === "ENOENT";
    throw new TortieError(`Cannot read ${option} "${path}": ${missing ? "it does not exist" : messageOf(cause)}`, { cause });
  }
}
