// A store that forgets everything at the end: for tests, and as the twin that the embedded one is compared with.
import { MvccStore } from "./mvcc.ts";

/** `wall` gives milliseconds since 1970. */
export const memoryStore = (wall: () => number): MvccStore => new MvccStore(wall);
