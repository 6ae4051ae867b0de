// Pods that are deleted come to their end, as the kubelet and the CNI plug-in see to it: the process is told and has its time, then what is left in the pod's
// namespaces is killed, and with them its network goes; its address is given back, and last its object goes. Runs inside the lab.
import { appendFileSync, readlinkSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { releasePodAddress } from "../agent/ipam/index.ts";
import { podLogFile, podPidFile } from "../agent/paths.ts";
import { POD, type Pod } from "../api/pod.ts";
import { messageOf } from "../base/errors.ts";
import { isConflict, isNotFound } from "../client/error.ts";
import { informer } from "../client/informer.ts";
import type { Client } from "../client/types.ts";
import { identify, isAlive, processes } from "../sys/ns.ts";
import { INSIDE, type LabPod } from "./enter.ts";
import { displace } from "./members.ts";

const STEP_MS = 50;
const RETRY_MS = 1_000;

export type PodEnds = {
  readonly client: Client;
  readonly pods: readonly LabPod[];
  /** The process that holds a member. */
  readonly pid: (name: string) => number;
  /** The pod's process is about to end. */
  readonly leaving: (pod: LabPod) => void;
  /** Nothing of the pod is left. */
  readonly gone: (pod: LabPod) => void;
};

/** Ends, from now on, each pod whose deletion is asked for, or whose object is gone. Resolves when it looks. */
export async function endDeletedPods(options: PodEnds): Promise<void> {
  const { client, pods } = options;
  const objects = informer(client, POD, { backoff: { firstMs: 80, maxMs: 5_000, factor: 2, jitter: 1 } });
  await objects.start();
  const uids = new Map(pods.map((pod) => [pod, objects.get(pod.name, pod.namespace)?.metadata.uid]));
  const objectOf = (pod: LabPod): Pod | undefined => {
    const object = objects.get(pod.name, pod.namespace);
    return object?.metadata.uid === uids.get(pod) ? object : undefined;
  };
  const left = new Set(pods);
  const look = (): void => {
    for (const pod of left) {
      const object = objectOf(pod);
      if (object && object.metadata.deletionTimestamp === undefined) continue;
      left.delete(pod);
      void end(pod, options, () => objectOf(pod), uids.get(pod));
    }
  };
  objects.onChange(look);
  look();
}

async function end(pod: LabPod, { client, pid, leaving, gone }: PodEnds, objectOf: () => Pod | undefined, uid: string | undefined): Promise<void> {
  const { name, namespace } = pod;
  leaving(pod);
  await endProcesses(pod.pid, () => {
    const until = objectOf()?.metadata.deletionTimestamp;
    return until === undefined ? 0 : Date.parse(until) - Date.now();
  });
  for (const path of [podPidFile(namespace, name), podLogFile(namespace, name), `${podLogFile(namespace, name)}.1`]) displace(pid(pod.node), path);
  for (; ; await sleep(RETRY_MS)) {
    try {
      await releasePodAddress(client, { namespace, pod: name });
      await client.delete(POD, name, { namespace, gracePeriodSeconds: 0, ...(uid === undefined ? {} : { uid }) });
      break;
    } catch (thrown) {
      // It is gone already, or another one has its name.
      if (isNotFound(thrown) || isConflict(thrown)) break;
      appendFileSync(`${INSIDE.logs}/pods`, `${new Date().toISOString()} ${namespace}/${name} has ended, but: ${messageOf(thrown)}\n`);
    }
  }
  gone(pod);
}

/** Ends the process `pid`, and with it all in its network namespace. `left`: ms that it has still. */
async function endProcesses(pid: number, left: () => number): Promise<void> {
  const own = identify(pid);
  if (!own) return;
  const net = readlinkSync(`/proc/${pid}/ns/net`);
  signal(pid, "SIGTERM");
  while (isAlive(own) && left() > 0) await sleep(STEP_MS);
  for (let rest; (rest = processes().filter((p) => p.net === net)).length > 0; await sleep(STEP_MS)) for (const p of rest) signal(p.pid, "SIGKILL");
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // It has ended.
  }
}
