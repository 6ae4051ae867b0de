import { cryptoCases, packetCases } from "./crypto.cases.ts";
import { nodeCrypto } from "./node.ts";
import { nodePackets } from "./packets-node.ts";

cryptoCases(nodeCrypto);
packetCases(nodePackets);
