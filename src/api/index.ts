// The resource model: kinds, metadata, conversion. Library entry `tortie/api`.
export * from "./blockaffinity.ts";
export * from "./calico-node.ts";
export * from "./capturegrant.ts";
export * from "./clusterinformation.ts";
export * from "./felixconfiguration.ts";
export * from "./ipamblock.ts";
export * from "./ipamhandle.ts";
export * from "./ippool.ts";
export * from "./kind.ts";
export * from "./kinds.ts";
export * from "./meta.ts";
export * from "./namespace.ts";
export * from "./node-annotations.ts";
export * from "./node.ts";
export * from "./nodeencryption.ts";
export * from "./pod.ts";
export type * from "./schema.ts";
export * from "./status.ts";
