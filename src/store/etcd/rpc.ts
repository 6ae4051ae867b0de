// etcd's calls and their messages (etcd.proto), typed by hand. Fields are etcd's names in camel case; a message that is absent is null.
import { fileURLToPath } from "node:url";
import { loadSync, type ServiceDefinition } from "@grpc/proto-loader";

/** `clusterId` is rounded to 53 bits: enough to tell two clusters apart. */
export type Header = { readonly clusterId: number; readonly revision: number };
/** Where something was read or written: its revision. */
type Answered = { readonly header: Header | null };
/** `modRevision` is that of the last write of the key. */
export type KeyValue = { readonly key: Buffer; readonly modRevision: number; readonly value: Buffer };

export type RangeRequest = { key: Uint8Array; rangeEnd?: Uint8Array; limit?: number; revision?: number; countOnly?: boolean };
export type RangeResponse = Answered & { readonly kvs: readonly KeyValue[]; readonly more: boolean; readonly count: number };

export type RequestOp =
  | { requestRange: RangeRequest }
  | { requestPut: { key: Uint8Array; value: Uint8Array } }
  | { requestDeleteRange: { key: Uint8Array } };
/** Holds when the key was last written at `modRevision`; 0: when it does not exist. */
export type Compare = { result: typeof EQUAL; target: typeof MOD; key: Uint8Array; modRevision: number };
export type TxnRequest = { compare: Compare[]; success: RequestOp[]; failure: RequestOp[] };
export type TxnResponse = Answered & { readonly succeeded: boolean; readonly responses: readonly { readonly responseRange?: RangeResponse }[] };

export type WatchRequest =
  | {
      createRequest: { key: Uint8Array; rangeEnd: Uint8Array; startRevision: number; progressNotify: boolean; prevKv: boolean; fragment: boolean };
    }
  | { progressRequest: object };
export type Event = { readonly type: typeof PUT | typeof DELETE; readonly kv: KeyValue | null; readonly prevKv: KeyValue | null };
export type WatchResponse = Answered & {
  readonly created: boolean;
  readonly canceled: boolean;
  readonly compactRevision: number;
  readonly cancelReason: string;
  readonly fragment: boolean;
  readonly events: readonly Event[];
};

export const EQUAL = 0;
export const MOD = 2;
export const PUT = 0;
export const DELETE = 1;

/** A call: its path, and how its messages become bytes. */
export type Method<Request, Response> = {
  readonly path: string;
  readonly requestSerialize: (request: Request) => Buffer;
  readonly responseDeserialize: (bytes: Buffer) => Response;
};

// Revisions are whole numbers far below 2^53.
const services = loadSync(fileURLToPath(new URL("etcd.proto", import.meta.url)), { longs: Number, defaults: true, arrays: true });
const method = <Request, Response>(service: string, name: string): Method<Request, Response> =>
  (services[`etcdserverpb.${service}`] as ServiceDefinition)[name] as unknown as Method<Request, Response>;

export const RANGE: Method<RangeRequest, RangeResponse> = method("KV", "Range");
export const TXN: Method<TxnRequest, TxnResponse> = method("KV", "Txn");
export const COMPACT: Method<{ revision: number }, Answered> = method("KV", "Compact");
export const WATCH: Method<WatchRequest, WatchResponse> = method("Watch", "Watch");
export const STATUS: Method<object, Answered & { readonly version: string }> = method("Maintenance", "Status");
export const AUTHENTICATE: Method<{ name: string; password: string }, Answered & { readonly token: string }> = method("Auth", "Authenticate");

/** The first key after all that start with `prefix`, which ends with a byte below 0xff. */
export function endOf(prefix: Uint8Array): Uint8Array {
  const end = Uint8Array.from(prefix);
  end[end.length - 1]!++;
  return end;
}
