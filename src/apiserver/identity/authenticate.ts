// Who asks: the subject of a client certificate that our authority signed, or the owner of the unix socket.
import type { IncomingMessage } from "node:http";
import type { PeerCertificate, TLSSocket } from "node:tls";
import { ADMINS, AUTHENTICATED, UNAUTHENTICATED } from "./roles.ts";
import type { User } from "../wire/request.ts";

const ANONYMOUS: User = { name: "system:anonymous", groups: [UNAUTHENTICATED] };
/** The file mode of the socket (0600) let only its owner in. */
export const SOCKET_OWNER: User = { name: "system:admin", groups: [ADMINS, AUTHENTICATED] };

export function authenticateTls(message: IncomingMessage): User {
  const socket = message.socket as TLSSocket;
  if (!socket.authorized) return ANONYMOUS;
  // Of a socket that is closed meanwhile there is no certificate; the types do not say so.
  const subject = (socket.getPeerCertificate() as PeerCertificate | null)?.subject;
  // The types do not say that an attribute may come several times.
  const [names, organizations] = [subject?.CN, subject?.O].map((v: unknown) =>
    Array.isArray(v) ? (v as string[]) : typeof v === "string" ? [v] : [],
  );
  if (names?.length !== 1 || names[0] === "") return ANONYMOUS;
  return { name: names[0]!, groups: [...organizations!, AUTHENTICATED] };
}
