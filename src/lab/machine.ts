// What every node of a lab says of the machine that they all live on, as a kubelet would.
import { readFileSync } from "node:fs";
import { arch, availableParallelism, release, totalmem } from "node:os";
import type { NodeStatus } from "../api/node.ts";

/** A kubelet's own limit. */
const PODS = "110";

function osImage(): string {
  try {
    return /^PRETTY_NAME="?([^"\n]*)"?$/m.exec(readFileSync("/etc/os-release", "utf8"))?.[1] ?? "";
  } catch {
    return "";
  }
}

/** nodeInfo, capacity and allocatable. */
export function machine(): Pick<NodeStatus, "nodeInfo" | "capacity" | "allocatable"> {
  const room = { cpu: String(availableParallelism()), memory: `${Math.floor(totalmem() / 1024)}Ki`, pods: PODS };
  const names: Readonly<Record<string, string>> = { x64: "amd64" };
  return {
    nodeInfo: { operatingSystem: "linux", architecture: names[arch()] ?? arch(), kernelVersion: release(), osImage: osImage() },
    capacity: room,
    allocatable: room,
  };
}
