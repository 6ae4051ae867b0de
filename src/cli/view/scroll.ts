// Moving in lists that are longer than their pane.

/** `cursor`: the chosen row; `top`: the first that is shown. */
export type Scroll = { readonly cursor: number; readonly top: number };
export const START: Scroll = { cursor: 0, top: 0 };

/** Where a key leads from row `cursor` of `length`; undefined when it is no key of movement. */
export function moved(cursor: number, key: string, length: number, page: number): number | undefined {
  const to = target(cursor, key, length, Math.max(1, page - 1));
  return to === undefined ? undefined : Math.max(0, Math.min(length - 1, to));
}
function target(cursor: number, key: string, length: number, page: number): number | undefined {
  switch (key) {
    case "up":
    case "k":
      return cursor - 1;
    case "down":
    case "j":
      return cursor + 1;
    case "pageup":
      return cursor - page;
    case "pagedown":
    case "space":
      return cursor + page;
    case "home":
      return 0;
    case "end":
      return length - 1;
    default:
      return undefined;
  }
}

/** The first row to show, so that the chosen one is seen; it moves no more than it must. */
export function topFor({ cursor, top }: Scroll, length: number, page: number): number {
  const kept = cursor < top ? cursor : cursor >= top + page ? cursor - page + 1 : top;
  return Math.max(0, Math.min(kept, length - page));
}
