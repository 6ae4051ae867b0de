// Pages, definitions and types are what the schemas say.
import { expect, test } from "vitest";
import { files, present, read } from "./reference.ts";

const made = await files();
const HINT = "npx tsx tools/reference.ts writes it anew";

test.for([...made.keys()])("%s is as the schemas say", (path) => expect(read(path), HINT).toBe(made.get(path)));
test("there is no page of a kind that is gone", () => expect(present().filter((p) => !made.has(p))).toEqual([]));
