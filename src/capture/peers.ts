// Which sessions belong together: the pairs of peers, what replaced what, and which handshakes are retries of one another (sections 2.4 and 8.1).
import { toHex } from "../base/bytes.ts";
import { formatEndpoint } from "../base/ip.ts";
import { type Session, spanOf, type UdpEndpoint } from "./session.ts";

/** One of two peers. */
export type PeerEnd = {
  /** undefined where no key at hand tells it. */
  readonly publicKey: Uint8Array | undefined;
  /** Where it was seen last. */
  readonly endpoint: UdpEndpoint | undefined;
};
/** Initiations of one side until one is answered: an unanswered one is repeated every 5 s, with a new index and ephemeral key. */
export type Attempt = { readonly initiator: 0 | 1; readonly sessions: readonly Session[]; readonly answered: Session | undefined };
/** Two peers, and their sessions in order. */
export type PeerPair = {
  /** The side that was seen to initiate first comes first. */
  readonly ends: readonly [PeerEnd, PeerEnd];
  /** In the order of their start. */
  readonly sessions: readonly Session[];
  readonly attempts: readonly Attempt[];
  /** The sessions that stood (a response, or data), each with what it replaced. */
  readonly chain: readonly { readonly session: Session; readonly replaces: Session | undefined }[];
};

/** REKEY_TIMEOUT is 5 s, and up to 1/3 s of jitter; a busy machine may be late. */
const RETRY_NS = 7_000_000_000n;

export const stood = (s: Session): boolean => s.response !== undefined || s.initiation === undefined;

/** Where the initiator of a session is among the ends of its pair. */
export function initiatorOf(pair: PeerPair, s: Session): 0 | 1 {
  return sideOf(pair.ends, s);
}

/** All pairs, in the order of their first session. Ends are told by static keys, and where those are unknown by endpoints. */
export function peerPairs(sessions: readonly Session[]): PeerPair[] {
  const byKeys = new Map<string, Session[]>();
  const groupOfEndpoints = new Map<string, string>();
  for (const s of sessions) {
    if (!s.initiatorStatic || !s.responderStatic) continue;
    const id = unordered(toHex(s.initiatorStatic), toHex(s.responderStatic));
    push(byKeys, id, s);
    for (const e of endpointIds(s)) groupOfEndpoints.set(e, id);
  }
  const groups = byKeys;
  for (const s of sessions) {
    if (s.initiatorStatic && s.responderStatic) continue;
    const ids = endpointIds(s);
    const id = ids.map((e) => groupOfEndpoints.get(e)).find((g) => g !== undefined) ?? ids[0] ?? `session ${s.number}`;
    push(groups, id, s);
    for (const e of ids) if (!groupOfEndpoints.has(e)) groupOfEndpoints.set(e, id);
  }
  return [...groups.values()].map(pairOf).sort((a, b) => a.sessions[0]!.number - b.sessions[0]!.number);
}

function pairOf(group: Session[]): PeerPair {
  const sessions = group
    .map((s) => ({ s, start: spanOf(s).start ?? 0n }))
    .sort((a, b) => (a.start < b.start ? -1 : a.start > b.start ? 1 : a.s.number - b.s.number))
    .map(({ s }) => s);
  const named = sessions.find((s) => s.initiatorStatic && s.responderStatic) ?? sessions[0]!;
  const first: [PeerEnd, PeerEnd] = [
    { publicKey: named.initiatorStatic, endpoint: named.initiator },
    { publicKey: named.responderStatic, endpoint: named.responder },
  ];
  const last = sessions.at(-1)!;
  const at = sideOf(first, last) === 0 ? [last.initiator, last.responder] : [last.responder, last.initiator];
  const ends: [PeerEnd, PeerEnd] = [
    { ...first[0], endpoint: at[0] },
    { ...first[1], endpoint: at[1] },
  ];
  const chain: { session: Session; replaces: Session | undefined }[] = [];
  for (const session of sessions) if (stood(session)) chain.push({ session, replaces: chain.at(-1)?.session });
  return { ends, sessions, attempts: attemptsOf(sessions, first), chain };
}

function attemptsOf(sessions: readonly Session[], ends: readonly [PeerEnd, PeerEnd]): Attempt[] {
  const done: Attempt[] = [];
  const open: [Session[], Session[]] = [[], []];
  const close = (side: 0 | 1): void => {
    const mine = open[side];
    if (mine.length > 0) done.push({ initiator: side, sessions: mine, answered: mine.find((s) => s.response) });
    open[side] = [];
  };
  for (const s of sessions) {
    if (!s.initiation) continue;
    const side = sideOf(ends, s);
    const before = open[side].at(-1)?.initiation?.time;
    if (before !== undefined && s.initiation.time !== undefined && s.initiation.time - before > RETRY_NS) close(side);
    open[side].push(s);
    if (s.response) close(side);
  }
  close(0);
  close(1);
  return done.sort((a, b) => a.sessions[0]!.number - b.sessions[0]!.number);
}

function sideOf(ends: readonly [PeerEnd, PeerEnd], s: Session): 0 | 1 {
  const [a, b] = ends;
  if (a.publicKey && s.initiatorStatic) return toHex(a.publicKey) === toHex(s.initiatorStatic) ? 0 : 1;
  if (b.publicKey && s.responderStatic) return toHex(b.publicKey) === toHex(s.responderStatic) ? 0 : 1;
  const started = s.initiation?.src ?? s.initiator;
  return started && b.endpoint && id(started) === id(b.endpoint) ? 1 : 0;
}

const id = (e: UdpEndpoint): string => formatEndpoint(e.ip, e.port);
const unordered = (a: string, b: string): string => (a < b ? `${a} ${b}` : `${b} ${a}`);
/** As the session began, and where it has roamed to. */
function endpointIds(s: Session): string[] {
  const began = s.initiation ?? s.response;
  const ids = new Set<string>();
  if (began) ids.add(unordered(id(began.src), id(began.dst)));
  if (s.initiator && s.responder) ids.add(unordered(id(s.initiator), id(s.responder)));
  return [...ids];
}
const push = (map: Map<string, Session[]>, key: string, s: Session): void => {
  const list = map.get(key);
  if (list) list.push(s);
  else map.set(key, [s]);
};
