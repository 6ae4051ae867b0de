// The state of the viewer: what is shown and where the person is. Values only; keys.ts changes it, screen.ts draws it.
import type { Scroll } from "./scroll.ts";
import { START } from "./scroll.ts";

export type Size = { readonly columns: number; readonly rows: number };
export type ViewName = "packets" | "sessions" | "conversations" | "stream" | "peers" | "audit" | "timeline" | "doctor" | "help";
export const PANES = ["list", "tree", "hex"] as const;
export type PaneName = (typeof PANES)[number];

export type Prompt = {
  readonly kind: "filter" | "goto";
  readonly text: string;
  readonly caret: number;
  readonly error: string | undefined;
  readonly past: number;
};

export type State = {
  readonly size: Size;
  readonly view: ViewName;
  /** Where help was asked for. */
  readonly before: ViewName;
  readonly pane: PaneName;
  /** The pane has the whole screen. */
  readonly zoom: boolean;
  /** Number of the chosen packet, from 0. */
  readonly packet: number;
  /** First row of the list that is shown. */
  readonly top: number;
  /** The newest packet is chosen as it comes. */
  readonly follow: boolean;
  /** The list leaves out what the filter does not match. */
  readonly only: boolean;
  /** The list shows the outer packet also where keys opened an inner one. */
  readonly outer: boolean;
  readonly tree: Scroll;
  /** Nodes that are unfolded, by their path: it holds for all packets. */
  readonly unfolded: ReadonlySet<string>;
  readonly hex: { readonly tab: number; readonly top: number };
  readonly sessions: Scroll;
  readonly conversations: Scroll;
  /** Lines above those that are shown, of the views that only scroll. */
  readonly stream: number;
  /** The stream is shown as bytes in hex. */
  readonly streamAsBytes: boolean;
  readonly peers: number;
  readonly audit: number;
  readonly timeline: number;
  readonly doctor: number;
  readonly help: number;
  readonly prompt: Prompt | undefined;
  /** Filters that were used, newest first. */
  readonly history: readonly string[];
  readonly message: { readonly text: string; readonly isError: boolean } | undefined;
};

export const initialState = (size: Size, options: { follow?: boolean } = {}): State => ({
  size,
  view: "packets",
  before: "packets",
  pane: "list",
  zoom: false,
  packet: 0,
  top: 0,
  follow: options.follow ?? false,
  only: true,
  outer: false,
  tree: START,
  unfolded: new Set(),
  hex: { tab: 0, top: 0 },
  sessions: START,
  conversations: START,
  stream: 0,
  streamAsBytes: false,
  peers: 0,
  audit: 0,
  timeline: 0,
  doctor: 0,
  help: 0,
  prompt: undefined,
  history: [],
  message: undefined,
});
