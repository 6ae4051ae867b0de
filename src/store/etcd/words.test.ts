// What is decided from texts alone: addresses, versions, and what etcd's answers mean. The texts are those of etcd 3.5.30 and grpc-js 1.14.
import { expect, test } from "vitest";
import { parseEndpoints } from "./endpoints.ts";
import { etcdError, type EtcdReason, reasonOf } from "./error.ts";
import { checkVersion } from "./member.ts";
import { endOf } from "./rpc.ts";

test.for<[text: string, hosts: [string, number][]]>([
  ["https://a:2379", [["a", 2379]]],
  [
    "https://etcd-0.example.org:2379/,https://10.0.0.1:443",
    [
      ["etcd-0.example.org", 2379],
      ["10.0.0.1", 443],
    ],
  ],
  [
    "http://[::1]:1,http://[fd00::2]:65535",
    [
      ["::1", 1],
      ["fd00::2", 65535],
    ],
  ],
])("members: %s", ([text, hosts]) => {
  expect(parseEndpoints(text).map((e) => [e.host, e.port])).toEqual(hosts);
  expect(new Set(parseEndpoints(text).map((e) => e.tls))).toEqual(new Set([text.startsWith("https")]));
});

test.for([
  "",
  "a:2379",
  "https://a",
  "https://a:0",
  "https://a:65536",
  "https://a:2379/v3",
  "https://a:1,",
  "https://u:s3cret@a:1",
  "ftp://a:1",
  "https://a:1, https://b:1",
])("no members: %s", (text) => {
  expect(() => parseEndpoints(text)).toThrow(/each member must be https:\/\/HOST:PORT/);
  expect(() => parseEndpoints(text)).not.toThrow(/s3cret/);
});
test("no mix of TLS and none", () => {
  expect(() => parseEndpoints("https://a:1,http://b:1")).toThrow(/some are https, others http/);
});

test.for<[version: string, good: boolean]>([
  ["3.5.8", true],
  ["3.5.30", true],
  ["3.6.0", true],
  ["3.6.0-rc.1", true],
  ["4.0.0", true],
  ["3.5.7", false],
  ["3.4.34", false],
  ["3.4.99", false],
  ["2.9.9", false],
  ["", false],
  ["unknown", false],
])("version %s", ([version, good]) => {
  const check = (): void => checkVersion("https://a:1", version);
  if (good) expect(check).not.toThrow();
  else expect(check).toThrow(/Cannot use the etcd at https:\/\/a:1: it is version .*, 3\.5\.8 or newer is needed/);
});

test.for<[code: number, details: string, reason: EtcdReason]>([
  [11, "etcdserver: mvcc: required revision has been compacted", "compacted"],
  [11, "etcdserver: mvcc: required revision is a future revision", "future"],
  [3, "etcdserver: request is too large", "too large"],
  [8, "trying to send message larger than max (2200042 vs. 2097152)", "too large"],
  [8, "grpc: received message larger than max (5000041 vs. 2097152)", "too large"],
  [8, "etcdserver: mvcc: database space exceeded", "no space"],
  [8, "etcdserver: too many requests", "other"],
  [7, "etcdserver: permission denied", "permission"],
  [16, "etcdserver: invalid auth token", "login"],
  [3, "etcdserver: revision of auth store is old", "login"],
  [3, "etcdserver: user name is empty", "login"],
  [3, "etcdserver: authentication failed, invalid user ID or password", "other"],
  [14, "etcdserver: leader changed", "lost"],
  [14, "etcdserver: request timed out", "lost"],
  [4, "Deadline exceeded after 7.001s", "lost"],
  [14, "No connection established. Last error: Error: connect ECONNREFUSED 127.0.0.1:1", "lost"],
])("code %i, %s", ([code, details, reason]) => {
  expect(reasonOf(code, details)).toBe(reason);
});

test("a call that was lost may have been carried out, unless nobody was there", () => {
  const notDone = (code: number, details: string): boolean => etcdError(Object.assign(new Error(details), { code, details })).notDone;
  expect(notDone(14, "etcdserver: request timed out")).toBe(false);
  expect(notDone(14, "Connection dropped")).toBe(false);
  expect(notDone(4, "Deadline exceeded")).toBe(false);
  expect(notDone(14, "No connection established. Last error: null")).toBe(true);
  expect(notDone(14, "etcdserver: no leader")).toBe(true);
  expect(notDone(7, "etcdserver: permission denied")).toBe(true);
});

test("a person is told the reason without gRPC's remarks around it", () => {
  const details = "No connection established. Last error: Error: connect ECONNREFUSED 127.0.0.1:1. Resolution note: ";
  expect(etcdError(Object.assign(new Error(details), { code: 14, details })).message).toBe("etcd does not answer: connect ECONNREFUSED 127.0.0.1:1");
});

test("the end of a prefix is the first key that does not begin with it", () => {
  const end = (text: string): string => Buffer.from(endOf(Buffer.from(text))).toString();
  expect([end("/tortie/"), end("/a"), end("/registry/core/nodes/")]).toEqual(["/tortie0", "/b", "/registry/core/nodes0"]);
});
