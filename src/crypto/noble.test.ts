import { cryptoCases, packetCases } from "./crypto.cases.ts";
import { nobleCrypto, noblePackets } from "./noble.ts";

cryptoCases(nobleCrypto);
packetCases(noblePackets);
