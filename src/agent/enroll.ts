// How a node gets its certificate, and a new one in time: its key is made here and never leaves; the server signs a request (the CSR flow of Kubernetes).
// The first time a token says which node this is; later the certificate itself does.
import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { connect as tlsConnect, type DetailedPeerCertificate } from "node:tls";
import { CERTIFICATE_SIGNING_REQUEST as CSR, type CertificateSigningRequest, conditionOf, SIGNERS } from "../api/certificatesigningrequest.ts";
import { apiVersionOf } from "../api/kind.ts";
import { type KeyPair, newKeyPair, pem, privateKeyPem } from "../apiserver/identity/certificate.ts";
import { certificateRequest } from "../apiserver/identity/pkcs10.ts";
import { BOUND_NODE, NODE_PREFIX, NODES } from "../apiserver/identity/roles.ts";
import { pinOf } from "../apiserver/identity/token.ts";
import { type Backoff, delay } from "../base/backoff.ts";
import { messageOf, TortieError } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import { pause } from "../client/pause.ts";
import type { RestClient } from "../client/rest.ts";

const LOOK_MS = 250;
const PATIENCE_MS = 60_000;
const CONNECT_MS = 10_000;
const AGAIN: Backoff = { firstMs: 10_000, maxMs: 600_000, factor: 2, jitter: 0.5 };
/** What a timer takes at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** The certificate authority of the server at `url`, shown by the server and believed because it has the pin. Throws TortieError. */
export function fetchAuthority(url: string, pin: string): Promise<string> {
  const { hostname, port } = new URL(url);
  const host = hostname.replace(/^\[|\]$/g, "");
  return new Promise((resolve, reject) => {
    const fail = (why: string, cause?: unknown): void => {
      socket.destroy();
      reject(new TortieError(`Cannot join by ${url}: ${why}`, { cause }));
    };
    // Nothing is sent: who is there is only looked at.
    const socket = tlsConnect({ host, port: Number(port || 443), rejectUnauthorized: false, minVersion: "TLSv1.3", timeout: CONNECT_MS });
    socket.once("error", (cause) => fail(messageOf(cause), cause));
    socket.once("timeout", () => fail("it does not answer"));
    socket.once("secureConnect", () => {
      for (const certificate of chainOf(socket.getPeerCertificate(true))) {
        if (pinOf(certificate) !== pin) continue;
        socket.destroy();
        return resolve(pem("CERTIFICATE", certificate));
      }
      fail("its certificate authority is not the one that the token names; somebody may stand between, or the token is of another cluster");
    });
  });
}

function chainOf(first: DetailedPeerCertificate): Uint8Array[] {
  const chain: Uint8Array[] = [];
  for (let at: DetailedPeerCertificate | undefined = first; at?.raw; at = at.issuerCertificate) {
    if (chain.some((c) => at.raw.equals(c))) break;
    chain.push(at.raw);
  }
  return chain;
}

/** The node that the token of `client` is for, or undefined. */
export async function nodeOfToken(client: RestClient): Promise<string | undefined> {
  type Review = { status?: { userInfo?: { extra?: Record<string, string[]> } } };
  const path = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
  return (await client.raw<Review>("POST", path, { body: {} })).status?.userInfo?.extra?.[BOUND_NODE]?.[0];
}

/** A certificate of `node` for `pair`, and its key, as one PEM text. Throws TortieError, ApiError. */
export async function requestIdentity(client: RestClient, node: string, pair: KeyPair, signal?: AbortSignal): Promise<string> {
  const request = certificateRequest({ commonName: `${NODE_PREFIX}${node}`, organizations: [NODES] }, pair);
  let asked = await client.create(CSR, {
    apiVersion: apiVersionOf(CSR),
    kind: CSR.kind,
    metadata: { name: "", generateName: "node-csr-" },
    spec: { request: Buffer.from(request).toString("base64"), signerName: SIGNERS.node, usages: ["digital signature", "client auth"] },
  });
  const { name } = asked.metadata;
  for (const end = performance.now() + PATIENCE_MS; ; asked = await client.get(CSR, name)) {
    const certificate = asked.status?.certificate;
    if (certificate !== undefined) return `${Buffer.from(certificate, "base64").toString()}${privateKeyPem(pair.privateKey)}`;
    refusal(asked, node);
    if (performance.now() > end || signal?.aborted)
      throw new TortieError(`Cannot get a certificate for node "${node}": nobody has approved the request "${name}"`, {
        hint: `An administrator may: kubectl certificate approve ${name}`,
      });
    await pause(LOOK_MS, signal);
  }
}

function refusal(asked: CertificateSigningRequest, node: string): void {
  for (const type of ["Denied", "Failed"] as const) {
    const condition = conditionOf(asked, type);
    if (condition)
      throw new TortieError(
        `Cannot get a certificate for node "${node}": the request was ${type === "Denied" ? "denied" : "not signed"}: ${condition.message ?? condition.reason ?? ""}`,
      );
  }
}

/** When (ms since 1970) the certificate in a PEM text is to be renewed: at 70 to 90 % of its life. `random` is uniform in [0, 1). */
export function renewalTime(certificate: string, random: number): number {
  const { validFrom, validTo } = new X509Certificate(certificate);
  const [from, to] = [Date.parse(validFrom), Date.parse(validTo)];
  return from + (0.7 + 0.2 * random) * (to - from);
}

export type Renewing = {
  readonly node: string;
  /** The file with certificate and key, which the client reads again by itself. */
  readonly file: string;
  readonly client: RestClient;
  readonly log: Log;
  /** Writes the file, whole or not at all. */
  readonly write: (text: string) => void;
};

/** Renews the certificate in time, again and again, until `signal` aborts. */
export async function keepRenewed({ node, file, client, log, write }: Renewing, signal: AbortSignal): Promise<void> {
  const random = Math.random();
  for (let failures = 0; !signal.aborted;) {
    try {
      const due = renewalTime(readFileSync(file, "utf8"), random) - Date.now();
      if (due > 0) {
        await pause(Math.min(due, LONGEST_TIMER_MS), signal);
        continue;
      }
      write(await requestIdentity(client, node, newKeyPair(), signal));
      log.info("the certificate of this node was renewed", { until: new X509Certificate(readFileSync(file)).validTo });
      failures = 0;
    } catch (thrown) {
      if (signal.aborted) return;
      log.warn("the certificate of this node was not renewed, trying again", { error: messageOf(thrown) });
      await pause(delay(AGAIN, Math.min(failures++, 20), Math.random()), signal);
    }
  }
}
