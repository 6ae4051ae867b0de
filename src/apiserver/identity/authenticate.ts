// Who asks: the subject of a client certificate that our authority signed, the owner of a bearer token, or the owner of the unix socket. Who comes with
// something that is not taken is not anybody else instead. Connections are remembered with what they came with: when that expires or is revoked, they
// are cut, and with them the watches and streams that they carry.
import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import type { PeerCertificate, TLSSocket } from "node:tls";
import type { User } from "../wire/request.ts";
import { EARLY_MS } from "./authority.ts";
import type { Credential, Credentials } from "./credentials.ts";
import { ADMINS, AUTHENTICATED, UNAUTHENTICATED } from "./roles.ts";

const ANONYMOUS: User = { name: "system:anonymous", groups: [UNAUTHENTICATED] };
const refusing = (refused: string): User => ({ ...ANONYMOUS, refused });
/** The file mode of the socket (0600) let only its owner in. */
export const SOCKET_OWNER: User = { name: "system:admin", groups: [ADMINS, AUTHENTICATED] };

type Known = { readonly user: User; readonly credential: Credential };

export class Authenticator {
  readonly #credentials: Credentials;
  /** Of each TLS connection: who its certificate names; undefined: it came without. */
  readonly #peers = new WeakMap<Socket, Known | User | undefined>();
  readonly #open = new Map<Socket, Set<Credential>>();

  constructor(credentials: Credentials) {
    this.#credentials = credentials;
    credentials.onChange(() => this.cut());
  }

  /** Who sent this over TLS. */
  readonly authenticate = (message: IncomingMessage): User => {
    const socket = message.socket as TLSSocket;
    if (!this.#peers.has(socket)) this.#peers.set(socket, peerOf(socket));
    const peer = this.#peers.get(socket);
    if (peer && !("credential" in peer)) return peer;
    const token = /^Bearer +(\S+) *$/i.exec(message.headers.authorization ?? "")?.[1] ?? protocolToken(message);
    const known = peer ?? (token === undefined ? undefined : this.#credentials.bearer(token));
    if (!known) return ANONYMOUS;
    if ("refused" in known) return refusing(known.refused);
    const problem = this.#credentials.problem(known.credential);
    if (problem !== undefined) return refusing(problem);
    this.#remember(socket, known.credential);
    return known.user;
  };

  #remember(socket: Socket, credential: Credential): void {
    const used = this.#open.get(socket);
    if (used) {
      if (credential.type === "certificate" || [...used].some((c) => c.type === "token" && c.id === credential.id)) return;
      used.add(credential);
      return;
    }
    this.#open.set(socket, new Set([credential]));
    socket.once("close", () => this.#open.delete(socket));
  }

  /** Ends the connections whose credentials are not taken any more. To be called now and then: certificates expire without a word. */
  cut(): void {
    for (const [socket, used] of this.#open)
      for (const credential of used)
        if (this.#credentials.problem(credential) !== undefined) {
          socket.destroy();
          break;
        }
  }
}

/** A page cannot set a header of its WebSocket: it names its token as one more subprotocol. https://github.com/kubernetes/kubernetes/pull/47740 */
const BEARER_PROTOCOL = /(?:^|,)\s*base64url\.bearer\.authorization\.k8s\.io\.([A-Za-z0-9_-]+)\s*(?:,|$)/;

function protocolToken({ headers }: IncomingMessage): string | undefined {
  const encoded = headers.upgrade === undefined ? undefined : BEARER_PROTOCOL.exec(headers["sec-websocket-protocol"] ?? "")?.[1];
  return encoded === undefined ? undefined : Buffer.from(encoded, "base64url").toString("utf8");
}

function peerOf(socket: TLSSocket): Known | User | undefined {
  // Of a socket that is closed meanwhile, and of one without a certificate, there is none; the types do not say so.
  const peer = socket.getPeerCertificate() as Partial<PeerCertificate> | null;
  if (!peer?.subject || peer.serialNumber === undefined) return undefined;
  if (!socket.authorized)
    return refusing(
      (socket.authorizationError as unknown) === "CERT_HAS_EXPIRED"
        ? "the certificate has expired"
        : `the certificate is not taken: ${String(socket.authorizationError)}`,
    );
  // The types do not say that an attribute may come several times.
  const [names, organizations] = [peer.subject.CN, peer.subject.O].map((v: unknown) =>
    Array.isArray(v) ? (v as string[]) : typeof v === "string" ? [v] : [],
  );
  if (names?.length !== 1 || names[0] === "") return refusing("the certificate names nobody");
  const name = names[0]!;
  const fingerprint = (peer.fingerprint256 ?? "").replaceAll(":", "").toLowerCase();
  return {
    user: {
      name,
      groups: [...organizations!, AUTHENTICATED],
      extra: { "authentication.kubernetes.io/credential-id": [`X509SHA256=${fingerprint}`] },
    },
    credential: {
      type: "certificate",
      user: name,
      serial: peer.serialNumber,
      issuedAt: Date.parse(peer.valid_from ?? "") + EARLY_MS,
      notAfter: Date.parse(peer.valid_to ?? ""),
    },
  };
}
