// Who asks in tests over TLS: certificates that the server's authority signed, also such as it would not sign, and tokens.
import { createPrivateKey } from "node:crypto";
import { readFileSync } from "node:fs";
import { Agent, request } from "node:https";
import { join } from "node:path";
import { certificate, newKeyPair, privateKeyPem } from "../../src/apiserver/identity/certificate.ts";

export type Who = { ca: string; cert?: string; key?: string; token?: string };

export const authorityOf = (data: string): string => readFileSync(join(data, "pki/ca.crt"), "utf8");

/** A client certificate by the authority in `data`, valid from and until so many seconds from now. */
export function sign(data: string, commonName: string, organizations: string[], { from = -600, until = 3600 } = {}): Required<Omit<Who, "token">> {
  const pair = newKeyPair();
  const cert = certificate({
    subject: { commonName, organizations },
    publicKey: pair.publicKey,
    issuer: { subject: { commonName: "tortie-ca" }, key: createPrivateKey(readFileSync(join(data, "pki/ca.key"))) },
    notBefore: Date.now() + from * 1000,
    notAfter: Date.now() + until * 1000,
    use: "client",
  });
  return { ca: authorityOf(data), cert, key: privateKeyPem(pair.privateKey) };
}

export type Answer = { code: number; body: string; headers: Record<string, string | string[] | undefined> };
export type Asked = { method?: string; body?: unknown; type?: string; headers?: Record<string, string> };

/** Somebody who keeps a connection. */
export class Guest {
  readonly #url: string;
  readonly #agent: Agent;
  readonly #token: string | undefined;

  constructor(url: string, { token, ...identity }: Who) {
    this.#url = url;
    this.#token = token;
    this.#agent = new Agent({ ...identity, keepAlive: true, maxSockets: 4 });
  }

  ask(path: string, { method = "GET", body, type = "application/json", headers = {} }: Asked = {}): Promise<Answer> {
    const sent = { ...(body === undefined ? {} : { "content-type": type }), ...this.#bearer(), ...headers };
    return new Promise((resolve, reject) => {
      const r = request(`${this.#url}${path}`, { agent: this.#agent, method, headers: sent }, (response) => {
        let text = "";
        response.on("data", (d: Buffer) => (text += d.toString()));
        response.on("end", () => resolve({ code: response.statusCode ?? 0, body: text, headers: response.headers }));
        response.on("error", reject);
      });
      r.on("error", reject);
      r.end(body === undefined ? undefined : JSON.stringify(body));
    });
  }

  /** The answer's code as soon as it is there, and when the connection ended; `stop` ends it. */
  open(path: string, headers: Record<string, string> = {}): Promise<{ code: number; ended: Promise<void>; stop: () => void }> {
    return new Promise((resolve, reject) => {
      const r = request(`${this.#url}${path}`, { agent: this.#agent, headers: { ...this.#bearer(), ...headers } });
      r.on("response", (response) => {
        const ended = new Promise<void>((done) => response.on("close", done));
        response.on("error", () => {});
        response.resume();
        resolve({ code: response.statusCode ?? 0, ended, stop: () => response.destroy() });
      });
      r.on("upgrade", (response, socket) => {
        const ended = new Promise<void>((done) => socket.on("close", () => done()));
        socket.on("error", () => {});
        socket.resume();
        resolve({ code: response.statusCode ?? 0, ended, stop: () => socket.destroy() });
      });
      r.on("error", reject);
      r.end();
    });
  }

  #bearer(): Record<string, string> {
    return this.#token === undefined ? {} : { authorization: `Bearer ${this.#token}` };
  }
  close(): void {
    this.#agent.destroy();
  }
}

/** Headers of a WebSocket's opening. */
export const upgrading = (protocol: string): Record<string, string> => ({
  connection: "Upgrade",
  upgrade: "websocket",
  "sec-websocket-version": "13",
  "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
  "sec-websocket-protocol": protocol,
});
