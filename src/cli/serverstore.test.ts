import { expect, test } from "vitest";
import { silent } from "../base/log.ts";
import { type StoreOptions, storeOpener } from "./serverstore.ts";

const BASE: StoreOptions = { store: "embedded", etcdPrefix: "/tortie" };
const ETCD = "etcd=https://127.0.0.1:1";

test.for<[options: Partial<StoreOptions>, words: RegExp]>([
  [{ store: "sqlite" }, /--store must be "embedded" or "etcd=URL,URL,…"/],
  [{ store: "etcd=" }, /--store must be "embedded"/],
  [{ etcdCa: "ca" }, /--store names no etcd/],
  [{ store: ETCD, etcdCert: "c" }, /--etcd-cert and --etcd-key belong together/],
  [{ store: ETCD, etcdKey: "c" }, /--etcd-cert and --etcd-key belong together/],
  [{ store: ETCD, etcdUser: "u" }, /--etcd-user and --etcd-password-file belong together/],
  [{ store: ETCD, etcdPrefix: "/tortie/" }, /--etcd-prefix must begin with a slash and end without one/],
  [{ store: ETCD, etcdPrefix: "tortie" }, /--etcd-prefix must begin/],
])("refused at once: %o", ([options, words]) => {
  expect(() => storeOpener({ ...BASE, ...options })).toThrow(words);
});

test.for<[options: Partial<StoreOptions>, words: RegExp]>([
  [{ store: "etcd=nonsense" }, /each member must be https:\/\/HOST:PORT/],
  [{ store: "etcd=http://127.0.0.1:1", etcdCa: "ca" }, /--etcd-ca and --etcd-cert are for members at https URLs/],
  [{ store: ETCD, etcdCa: "/nonexistent/ca.crt" }, /Cannot read --etcd-ca "\/nonexistent\/ca.crt": it does not exist/],
  [{ store: "etcd=http://127.0.0.1:1" }, /Cannot use the etcd: http:\/\/127\.0\.0\.1:1: .*ECONNREFUSED/],
])("refused when it is opened: %o", async ([options, words]) => {
  const opener = storeOpener({ ...BASE, ...options });
  expect(opener.shared).toBe(true);
  await expect(opener.open("/nonexistent", silent)).rejects.toThrow(words);
});
