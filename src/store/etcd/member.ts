// One member of an etcd: a connection, calls on it and watch streams. A member that is lost is replaced by another, not mended.
import { isIP } from "node:net";
import { checkServerIdentity } from "node:tls";
import {
  type ChannelCredentials,
  Client,
  type ClientDuplexStream,
  type ClientOptions,
  type ClientUnaryCall,
  credentials,
  Metadata,
} from "@grpc/grpc-js";
import { TortieError } from "../../base/errors.ts";
import type { Endpoint } from "./endpoints.ts";
import { EtcdError, etcdError } from "./error.ts";
import { AUTHENTICATE, type Method, STATUS, WATCH, type WatchRequest, type WatchResponse } from "./rpc.ts";

/** PEM texts. `certificate` and `key` are the client's own. */
export type TlsFiles = { readonly ca?: Buffer; readonly certificate?: Buffer; readonly key?: Buffer };
/** `password` is asked for at every login, so that a changed one is used. */
export type Login = { readonly user: string; readonly password: () => string };
export type WatchStream = ClientDuplexStream<WatchRequest, WatchResponse>;

/** etcd itself gives up after 5 s and two elections. */
const CALL_MS = 7000;
/**
 * A call that waits for so long makes us ask whether anybody is there: Status is answered by the member alone, whatever the others do. gRPC's own pings
 * would be too slow: etcd ends connections that ping more often than every five seconds.
 */
const QUIET_MS = 1000;
const PROBE_MS = 3000;
/** A machine that does not answer at all must not keep anybody from the next one. */
const CONNECT_MS = 2500;
/** From this version on a watch's progress is never ahead of its events (etcd's changelog of 3.5.8). */
const OLDEST: readonly [number, number, number] = [3, 5, 8];

const OPTIONS: ClientOptions = {
  // A member whose machine is gone says nothing: it is asked every ten seconds.
  "grpc.keepalive_time_ms": 10_000,
  "grpc.keepalive_timeout_ms": 5000,
  "grpc.keepalive_permit_without_calls": 1,
  "grpc.max_receive_message_length": -1,
  "grpc.max_send_message_length": -1,
  // A member is a connection of its own, to the address that was named, and to no other.
  "grpc.use_local_subchannel_pool": 1,
  "grpc.service_config_disable_resolution": 1,
  "grpc.enable_http_proxy": 0,
  // What is tried again is decided by who calls, so that no request is kept for it.
  "grpc.enable_retries": 0,
  "grpc-node.flow_control_window": 4 * 1024 * 1024,
};

export class Member {
  readonly url: string;
  readonly #client: Client;
  readonly #login: Login | undefined;
  readonly #metadata = new Metadata();
  #loggingIn: Promise<void> | undefined;
  /** Calls under way. */
  readonly #calls = new Set<ClientUnaryCall>();
  #quiet: NodeJS.Timeout | undefined;
  /** Why it is given up. */
  #silent: EtcdError | undefined;

  private constructor(endpoint: Endpoint, tls: TlsFiles, login: Login | undefined) {
    const { host, port } = endpoint;
    this.url = endpoint.url;
    this.#login = login;
    // A member that lost its leader refuses, rather than let a watch wait in silence.
    this.#metadata.set("hasleader", "true");
    // TLS knows no addresses as names of servers; the certificate is held against the address all the same.
    const names = endpoint.tls && isIP(host) !== 0 ? { "grpc.ssl_target_name_override": "etcd" } : {};
    this.#client = new Client(`dns:${host.includes(":") ? `[${host}]` : host}:${port}`, credentialsFor(endpoint, tls), { ...OPTIONS, ...names });
  }

  /** Connects and logs in. Throws EtcdError, or TortieError when this etcd is too old. */
  static async connect(endpoint: Endpoint, tls: TlsFiles, login: Login | undefined): Promise<Member> {
    const member = new Member(endpoint, tls, login);
    try {
      if (login) await member.#authenticate(login);
      const version = await member.#version();
      if (version !== undefined) checkVersion(endpoint.url, version);
      return member;
    } catch (thrown) {
      member.close();
      throw thrown;
    }
  }

  /** undefined from a member that tells it administrators alone: those that do are years newer than what is asked for. */
  async #version(): Promise<string | undefined> {
    try {
      return (await this.#unary(STATUS, {}, this.#metadata, CONNECT_MS)).version;
    } catch (thrown) {
      if (thrown instanceof EtcdError && thrown.reason === "permission") return undefined;
      throw thrown;
    }
  }

  /** Throws EtcdError. A token that is no longer good is replaced once. */
  async call<Request, Response>(method: Method<Request, Response>, request: Request): Promise<Response> {
    try {
      return await this.#unary(method, request);
    } catch (thrown) {
      if (!(thrown instanceof EtcdError && thrown.reason === "login" && this.#login)) throw thrown;
      await (this.#loggingIn ??= this.#authenticate(this.#login).finally(() => (this.#loggingIn = undefined)));
      return this.#unary(method, request);
    }
  }

  async #unary<Request, Response>(method: Method<Request, Response>, request: Request, metadata = this.#metadata, ms = CALL_MS): Promise<Response> {
    const { call, answer } = this.#send(method, request, metadata, ms);
    if (this.#calls.size === 0) this.#listen();
    this.#calls.add(call);
    try {
      return await answer;
    } catch (thrown) {
      throw this.#silent ?? thrown;
    } finally {
      this.#calls.delete(call);
      if (this.#calls.size === 0) clearTimeout(this.#quiet);
    }
  }

  #send<Request, Response>(
    { path, requestSerialize, responseDeserialize }: Method<Request, Response>,
    request: Request,
    metadata: Metadata,
    ms: number,
  ): { call: ClientUnaryCall; answer: Promise<Response> } {
    let call!: ClientUnaryCall;
    const answer = new Promise<Response>((resolve, reject) => {
      const deadline = Date.now() + ms;
      call = this.#client.makeUnaryRequest(path, requestSerialize, responseDeserialize, request, metadata, { deadline }, (error, response) =>
        error || response === undefined ? reject(etcdError(error ?? new Error("it answers nothing"))) : resolve(response),
      );
    });
    return { call, answer };
  }

  #listen(): void {
    clearTimeout(this.#quiet);
    this.#quiet = setTimeout(() => void this.#probe(), QUIET_MS);
  }
  /** Ends the calls under way when nobody is there. */
  async #probe(): Promise<void> {
    const calls = [...this.#calls];
    const asked = performance.now();
    try {
      await this.#send(STATUS, {}, this.#metadata, PROBE_MS).answer;
    } catch {
      const waited = performance.now() - asked;
      // Whatever came sooner is an answer; later, it may be us who did not listen.
      if (waited > 0.9 * PROBE_MS && waited < 1.5 * PROBE_MS) {
        const seconds = Math.round((QUIET_MS + waited) / 1000);
        this.#silent = new EtcdError("lost", `etcd does not answer: nothing came from ${this.url} for ${seconds} s`, { notDone: false });
        for (const call of calls) call.cancel();
      }
    }
    if (this.#calls.size > 0) this.#listen();
  }

  async #authenticate({ user, password }: Login): Promise<void> {
    const { token } = await this.#unary(AUTHENTICATE, { name: user, password: password() }, new Metadata(), CONNECT_MS);
    this.#metadata.set("token", token);
  }

  watch(): WatchStream {
    return this.#client.makeBidiStreamRequest(WATCH.path, WATCH.requestSerialize, WATCH.responseDeserialize, this.#metadata);
  }

  /** Calls under way are still answered. */
  close(): void {
    this.#client.close();
  }
}

function credentialsFor({ host, tls }: Endpoint, { ca, key, certificate }: TlsFiles): ChannelCredentials {
  if (!tls) return credentials.createInsecure();
  const verify =
    isIP(host) === 0
      ? {}
      : { checkServerIdentity: (_name: string, peer: Parameters<typeof checkServerIdentity>[1]) => checkServerIdentity(host, peer) };
  return credentials.createSsl(ca ?? null, key ?? null, certificate ?? null, verify);
}

/** Throws TortieError. */
export function checkVersion(url: string, version: string): void {
  const parts = version.split(".").map((n) => Number.parseInt(n, 10));
  const at = OLDEST.findIndex((n, i) => parts[i] !== n);
  if (at < 0 || (parts[at] ?? 0) > OLDEST[at]!) return;
  throw new TortieError(`Cannot use the etcd at ${url}: it is version ${version}, ${OLDEST.join(".")} or newer is needed`, {
    hint: "Older ones may report a change as delivered before it is. Upgrade every member.",
  });
}
