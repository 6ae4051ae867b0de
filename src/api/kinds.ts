// Every kind that the API serves.
import { ACCESS_TOKEN } from "./accesstoken.ts";
import { BLOCK_AFFINITY } from "./blockaffinity.ts";
import { CALICO_NODE_STATUS } from "./caliconodestatus.ts";
import { CAPTURE_GRANT } from "./capturegrant.ts";
import { CERTIFICATE_SIGNING_REQUEST } from "./certificatesigningrequest.ts";
import { CLUSTER_INFORMATION } from "./clusterinformation.ts";
import { CONFIG_MAP } from "./configmap.ts";
import { EVENT } from "./event.ts";
import { EVENTS_V1 } from "./events-v1.ts";
import { FELIX_CONFIGURATION } from "./felixconfiguration.ts";
import { IPAM_CONFIGURATION } from "./ipamconfiguration.ts";
import { IPAM_BLOCK } from "./ipamblock.ts";
import { IPAM_HANDLE } from "./ipamhandle.ts";
import { IP_POOL } from "./ippool.ts";
import type { Kind } from "./kind.ts";
import { LEASE } from "./lease.ts";
import { NAMESPACE } from "./namespace.ts";
import { NODE } from "./node.ts";
import { NODE_ENCRYPTION } from "./nodeencryption.ts";
import { POD } from "./pod.ts";
import { REVOCATION } from "./revocation.ts";
import { SECRET } from "./secret.ts";

/** Kinds by group; each is a Kind of its own resource type, seen here through what all resources share. */
export const KINDS: readonly Kind[] = [
  NAMESPACE,
  NODE,
  POD,
  EVENT,
  CONFIG_MAP,
  SECRET,
  LEASE,
  EVENTS_V1,
  CERTIFICATE_SIGNING_REQUEST,
  FELIX_CONFIGURATION,
  IP_POOL,
  IPAM_BLOCK,
  BLOCK_AFFINITY,
  IPAM_HANDLE,
  IPAM_CONFIGURATION,
  CLUSTER_INFORMATION,
  CALICO_NODE_STATUS,
  NODE_ENCRYPTION,
  CAPTURE_GRANT,
  ACCESS_TOKEN,
  REVOCATION,
] as unknown as Kind[];

/** The kind that a person means by `word`: its plural, singular, kind (any case) or a short name; of `group` where it is given. */
export function findKind(word: string, group?: string): Kind | undefined {
  const w = word.toLowerCase();
  return KINDS.find(
    (k) =>
      (group === undefined || k.group === group) && (k.plural === w || k.singular === w || k.kind.toLowerCase() === w || k.shortNames.includes(w)),
  );
}

/** The kind of an object, by its apiVersion and kind. */
export const kindOf = (object: { apiVersion: string; kind: string }): Kind | undefined =>
  KINDS.find((k) => k.kind === object.kind && (k.group === "" ? k.version : `${k.group}/${k.version}`) === object.apiVersion);
