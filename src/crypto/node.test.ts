import { cryptoCases, packetCases } from "./crypto.cases.ts";
import { nodeCrypto, nodePackets } from "./node.ts";

cryptoCases(nodeCrypto);
packetCases(nodePackets);
