// What is measured on one device alone, without traffic.
import type { Sample } from "./figures.ts";
import type { Subject } from "./subjects.ts";

type Device = NonNullable<Subject["device"]>;

export const ALONE: Readonly<Record<string, (device: Device) => Promise<Sample>>> = {};
