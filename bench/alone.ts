// What is measured on one device alone, without traffic.
import type { Sample } from "./figures.ts";
import { handshakes } from "./handshakes.ts";
import { idlePeers, startUp } from "./idle.ts";
import type { Device } from "./subjects.ts";

export const ALONE: Readonly<Record<string, (device: Device) => Promise<Sample>>> = { handshakes, start: startUp, idle: idlePeers };
