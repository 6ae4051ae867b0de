// Written from the kinds' schemas by tools/reference.ts: change those, not this. It compiles only while the types say the same as the schemas.
import type { ACCESS_TOKEN } from "./accesstoken.ts";
import type { BLOCK_AFFINITY } from "./blockaffinity.ts";
import type { CALICO_NODE_STATUS } from "./caliconodestatus.ts";
import type { CAPTURE_GRANT } from "./capturegrant.ts";
import type { CERTIFICATE_SIGNING_REQUEST } from "./certificatesigningrequest.ts";
import type { CLUSTER_INFORMATION } from "./clusterinformation.ts";
import type { CONFIG_MAP } from "./configmap.ts";
import type { EVENT } from "./event.ts";
import type { EVENTS_V1 } from "./events-v1.ts";
import type { FELIX_CONFIGURATION } from "./felixconfiguration.ts";
import type { IPAM_BLOCK } from "./ipamblock.ts";
import type { IPAM_CONFIGURATION } from "./ipamconfiguration.ts";
import type { IPAM_HANDLE } from "./ipamhandle.ts";
import type { IP_POOL } from "./ippool.ts";
import type { LEASE } from "./lease.ts";
import type { NAMESPACE } from "./namespace.ts";
import type { NODE } from "./node.ts";
import type { NODE_ENCRYPTION } from "./nodeencryption.ts";
import type { POD } from "./pod.ts";
import type { REVOCATION } from "./revocation.ts";
import type { SECRET } from "./secret.ts";
import type { Kind } from "./kind.ts";
import type { ObjectMeta } from "./meta.ts";

type Flat<T> = T extends readonly (infer U)[] ? Flat<U>[] : T extends object ? { [K in keyof T]: Flat<T[K]> } : T;
type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
type True<T extends true> = T;
/** What an object of the kind has beside apiVersion, kind and metadata. */
type Own<K> = K extends Kind<infer T> ? Omit<T, "apiVersion" | "kind" | "metadata"> : never;
type Same<A, B> = Equal<Flat<A>, Flat<B>>;

/** What all kinds share, then one line a kind: that which differs does not compile. */
export type Checks = [
  True<Same<ObjectMeta, { name: string; generateName?: string; namespace?: string; uid?: string; resourceVersion?: string; generation?: number; creationTimestamp?: string; deletionTimestamp?: string; deletionGracePeriodSeconds?: number; labels?: { [key: string]: string }; annotations?: { [key: string]: string }; finalizers?: (string)[]; ownerReferences?: ({ apiVersion: string; kind: string; name: string; uid: string; controller?: boolean; blockOwnerDeletion?: boolean })[]; managedFields?: ({ [key: string]: unknown })[] }>>,
  True<Same<Own<typeof ACCESS_TOKEN>, { spec: { role: "admin" | "viewer" | "node"; user: string; hash: string; expires: string }; status?: { key?: string; used?: string } }>>,
  True<Same<Own<typeof BLOCK_AFFINITY>, { spec: { state: "pending" | "confirmed" | "pendingDeletion"; node: string; type?: string; cidr: string; deleted: boolean } }>>,
  True<Same<Own<typeof CALICO_NODE_STATUS>, { spec: { node: string; classes: ("Agent" | "BGP" | "Routes")[]; updatePeriodSeconds: number }; status?: { lastUpdated?: string | null; agent?: { [key: string]: unknown }; bgp?: { [key: string]: unknown }; routes?: { [key: string]: unknown } } }>>,
  True<Same<Own<typeof CAPTURE_GRANT>, { spec: { users?: (string)[]; groups?: (string)[]; nodes: (string)[]; actions: ("capture" | "keys")[]; expires: string; reason: string } }>>,
  True<Same<Own<typeof CERTIFICATE_SIGNING_REQUEST>, { spec: { request: string; signerName: string; usages?: (string)[]; expirationSeconds?: number; username?: string; uid?: string; groups?: (string)[]; extra?: { [key: string]: (string)[] } }; status?: { conditions?: ({ type: string; status: string; reason?: string; message?: string; lastUpdateTime?: string | null; lastTransitionTime?: string | null })[]; certificate?: string } }>>,
  True<Same<Own<typeof CLUSTER_INFORMATION>, { spec?: { clusterGUID?: string; clusterType?: string; calicoVersion?: string; datastoreReady?: boolean; variant?: string } }>>,
  True<Same<Own<typeof CONFIG_MAP>, { data?: { [key: string]: string }; binaryData?: { [key: string]: string }; immutable?: boolean }>>,
  True<Same<Own<typeof EVENT>, { involvedObject: { kind?: string; namespace?: string; name?: string; uid?: string; apiVersion?: string; resourceVersion?: string; fieldPath?: string }; reason?: string; message?: string; source?: { component?: string; host?: string }; firstTimestamp?: string | null; lastTimestamp?: string | null; count?: number; type?: string; eventTime?: string | null; series?: { count?: number; lastObservedTime?: string }; action?: string; related?: { kind?: string; namespace?: string; name?: string; uid?: string; apiVersion?: string; resourceVersion?: string; fieldPath?: string }; reportingComponent?: string; reportingInstance?: string }>>,
  True<Same<Own<typeof EVENTS_V1>, { eventTime?: string | null; series?: { count: number; lastObservedTime: string }; reportingController?: string; reportingInstance?: string; action?: string; reason?: string; regarding?: { kind?: string; namespace?: string; name?: string; uid?: string; apiVersion?: string; resourceVersion?: string; fieldPath?: string }; related?: { kind?: string; namespace?: string; name?: string; uid?: string; apiVersion?: string; resourceVersion?: string; fieldPath?: string }; note?: string; type?: string; deprecatedSource?: { component?: string; host?: string }; deprecatedFirstTimestamp?: string | null; deprecatedLastTimestamp?: string | null; deprecatedCount?: number }>>,
  True<Same<Own<typeof FELIX_CONFIGURATION>, { spec?: { nodeSelector?: string; wireguardEnabled?: boolean; wireguardEnabledV6?: boolean; wireguardListeningPort?: number; wireguardListeningPortV6?: number; wireguardRoutingRulePriority?: number; wireguardInterfaceName?: string; wireguardInterfaceNameV6?: string; wireguardMTU?: number; wireguardMTUV6?: number; wireguardHostEncryptionEnabled?: boolean; wireguardKeepAlive?: string; wireguardThreadingEnabled?: boolean; prometheusWireGuardMetricsEnabled?: boolean; prometheusMetricsEnabled?: boolean; prometheusMetricsHost?: string; prometheusMetricsPort?: number; healthEnabled?: boolean; healthHost?: string; healthPort?: number; routeTableRanges?: ({ min: number; max: number })[]; routeTableRange?: { min: number; max: number }; routeRefreshInterval?: string; interfaceRefreshInterval?: string; netlinkTimeout?: string; iptablesMarkMask?: number; nftablesMarkMask?: number; routeSource?: "CalicoIPAM" | "WorkloadIPs"; mtuIfacePattern?: string; deviceRouteProtocol?: number; routeSyncDisabled?: boolean; ipv6Support?: boolean; allowVXLANPacketsFromWorkloads?: boolean; allowIPIPPacketsFromWorkloads?: boolean; vxlanEnabled?: boolean; vxlanPort?: number; vxlanVNI?: number; vxlanMTU?: number; vxlanMTUV6?: number; ipipEnabled?: boolean; ipipMTU?: number; logSeverityScreen?: "" | "Trace" | "Debug" | "Info" | "Warning" | "Error" | "Fatal"; logSeverityFile?: "" | "Trace" | "Debug" | "Info" | "Warning" | "Error" | "Fatal"; logSeveritySys?: "" | "Trace" | "Debug" | "Info" | "Warning" | "Error" | "Fatal"; logFilePath?: string; reportingInterval?: string; bpfEnabled?: boolean; bpfLogLevel?: "Off" | "Info" | "Debug"; bpfConnectTimeLoadBalancing?: "TCP" | "Enabled" | "Disabled"; bpfHostNetworkedNATWithoutCTLB?: "Enabled" | "Disabled"; floatingIPs?: "Enabled" | "Disabled"; chainInsertMode?: "Insert" | "Append" | "insert" | "append"; defaultEndpointToHostAction?: "Drop" | "Accept" | "Return" | "DROP" | "ACCEPT" | "RETURN" } }>>,
  True<Same<Own<typeof IPAM_BLOCK>, { spec: { cidr: string; affinity?: string; affinityClaimTime?: string | null; strictAffinity: boolean; allocations: (number | null)[]; unallocated: (number)[]; attributes: ({ handle_id?: string | null; secondary?: { [key: string]: string } | null })[]; deleted: boolean; sequenceNumber?: number; sequenceNumberForAllocation?: { [key: string]: number } } }>>,
  True<Same<Own<typeof IPAM_CONFIGURATION>, { spec: { strictAffinity: boolean; autoAllocateBlocks?: boolean; maxBlocksPerHost?: number } }>>,
  True<Same<Own<typeof IPAM_HANDLE>, { spec: { handleID: string; block: { [key: string]: number }; deleted?: boolean } }>>,
  True<Same<Own<typeof IP_POOL>, { spec: { cidr: string; vxlanMode?: "Never" | "Always" | "CrossSubnet"; ipipMode?: "Never" | "Always" | "CrossSubnet"; natOutgoing?: boolean; disabled?: boolean; disableBGPExport?: boolean; blockSize?: number; nodeSelector?: string; namespaceSelector?: string; allowedUses?: ("Workload" | "Tunnel" | "LoadBalancer")[]; assignmentMode?: "Automatic" | "Manual" }; status?: { conditions?: ({ [key: string]: unknown })[] } }>>,
  True<Same<Own<typeof LEASE>, { spec?: { holderIdentity?: string; leaseDurationSeconds?: number; acquireTime?: string; renewTime?: string; leaseTransitions?: number; strategy?: string; preferredHolder?: string } }>>,
  True<Same<Own<typeof NAMESPACE>, { spec?: { finalizers?: (string)[] }; status?: { phase?: "Active" | "Terminating"; conditions?: ({ [key: string]: unknown })[] } }>>,
  True<Same<Own<typeof NODE>, { spec?: { podCIDR?: string; podCIDRs?: (string)[]; providerID?: string; externalID?: string; unschedulable?: boolean; taints?: ({ key: string; value?: string; effect: string; timeAdded?: string })[] }; status?: { addresses?: ({ type: string; address: string })[]; conditions?: ({ type: string; status: string; reason?: string; message?: string; lastHeartbeatTime?: string; lastTransitionTime?: string })[]; nodeInfo?: { [key: string]: unknown }; capacity?: { [key: string]: number | string }; allocatable?: { [key: string]: number | string }; phase?: string; daemonEndpoints?: { [key: string]: unknown }; images?: ({ [key: string]: unknown })[]; volumesInUse?: (string)[]; volumesAttached?: ({ [key: string]: unknown })[]; config?: { [key: string]: unknown }; runtimeHandlers?: ({ [key: string]: unknown })[]; features?: { [key: string]: unknown }; observedGeneration?: number } }>>,
  True<Same<Own<typeof NODE_ENCRYPTION>, { status?: { publicKey?: string; listenPort?: number; interface?: string; reportedAt: string; watching: boolean; peers: ({ node: string; publicKey: string; endpoint?: string; latestHandshake?: string; rxBytes: number; txBytes: number })[]; warnings: (string)[] } }>>,
  True<Same<Own<typeof POD>, { spec: { nodeName?: string; containers: ({ name: string; image?: string; command?: (string)[]; args?: (string)[]; [key: string]: unknown })[]; initContainers?: ({ name: string; image?: string; command?: (string)[]; args?: (string)[]; [key: string]: unknown })[]; volumes?: ({ [key: string]: unknown })[]; hostNetwork?: boolean; restartPolicy?: "Always" | "OnFailure" | "Never"; serviceAccountName?: string; schedulerName?: string; terminationGracePeriodSeconds?: number; [key: string]: unknown }; status?: { phase?: "Pending" | "Running" | "Succeeded" | "Failed" | "Unknown"; podIP?: string; podIPs?: ({ ip: string })[]; hostIP?: string; startTime?: string; reason?: string; message?: string; conditions?: ({ type: string; status: string; [key: string]: unknown })[]; containerStatuses?: ({ name: string; ready: boolean; restartCount: number; [key: string]: unknown })[]; [key: string]: unknown } }>>,
  True<Same<Own<typeof REVOCATION>, { spec: { serial?: string; user?: string; reason?: string } }>>,
  True<Same<Own<typeof SECRET>, { data?: { [key: string]: string }; stringData?: { [key: string]: string }; type?: string; immutable?: boolean }>>,
];
