import { describe } from "vitest";
import { memoryStore } from "./memory.ts";
import { storeCases } from "./store.cases.ts";

describe("memory store", () => storeCases(async () => ({ store: memoryStore(Date.now), done: async () => {} })));
