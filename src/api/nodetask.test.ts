import { describe, expect, test } from "vitest";
import { argumentsOfTask, type NodeTask, queryOfTask, taskAskedOf, taskOf } from "./nodetask.ts";

const KEY = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
const CASES: [NodeTask, string][] = [
  [{ type: "keylog", seconds: 60, peers: [] }, "keylog -w - --for 60s"],
  [{ type: "keylog", interface: "wg0", seconds: 1, peers: [KEY, KEY] }, `keylog -i wg0 -w - --for 1s --peer ${KEY} --peer ${KEY}`],
  [{ type: "audit", seconds: 5, podCidrs: [], canaries: [] }, "audit --host --duration 5"],
  [
    { type: "audit", seconds: 5, podCidrs: ["10.1.0.0/24", "fd00::/64"], canaries: ["10.1.0.2"], json: true },
    "audit --host --duration 5 --pod-cidr 10.1.0.0/24 --pod-cidr fd00::/64 --canary 10.1.0.2 -o json",
  ],
  [{ type: "probe", address: "fd00::1", count: 3 }, "ping -n -c 3 -i 0.2 fd00::1"],
  [{ type: "probe", address: "10.1.0.2", count: 3, json: true }, "ping -n -c 3 -i 0.2 -o json 10.1.0.2"],
];
test.for(CASES)("goes the whole way, query, order, arguments: %j", ([task, args]) => {
  expect(taskOf(taskAskedOf(task.type, new URLSearchParams(queryOfTask(task))))).toEqual(task);
  expect(taskOf(JSON.parse(JSON.stringify(task)) as Record<string, unknown>)).toEqual(task);
  expect(argumentsOfTask(task).join(" ")).toBe(args);
});

describe("what becomes no argument", () => {
  const good = { keylog: CASES[1]![0], audit: CASES[3]![0], probe: CASES[4]![0] };
  test.for<[keyof typeof good, object]>([
    ["keylog", { type: "exec" }],
    ["keylog", { type: "keylog --off" }],
    ["keylog", { interface: "-o" }],
    ["keylog", { interface: "a b" }],
    ["keylog", { interface: 5 }],
    ["keylog", { seconds: 0 }],
    ["keylog", { seconds: 1e9 }],
    ["keylog", { seconds: "60" }],
    ["keylog", { peers: ["--existing"] }],
    ["keylog", { peers: KEY }],
    ["keylog", { peers: Array.from({ length: 65 }, () => KEY) }],
    ["audit", { podCidrs: ["--save"] }],
    ["audit", { podCidrs: ["10.0.0.0"] }],
    ["audit", { canaries: ["localhost"] }],
    ["audit", { canaries: undefined }],
    ["audit", { json: "true" }],
    ["probe", { address: "-f" }],
    ["probe", { address: "localhost" }],
    ["probe", { count: 1.5 }],
    ["probe", { json: "true" }],
    ["probe", { count: 10_000 }],
  ])("%s with %j", ([type, change]) => expect(taskOf({ ...good[type], ...change })).toBeTypeOf("string"));
});
