import { describe, expect, test } from "vitest";
import { concat, isZero, toHex } from "../base/bytes.ts";
import { nobleCrypto as crypto } from "../crypto/noble.ts";
import { clamp, readInitiationPayload, readInitiator, readResponse, start, type Transcript, writeInitiation, writeResponse } from "./noise.ts";
import { wiping } from "./secretcrypto.ts";
import { hex, pairOf, transcript, vectors } from "./vectors.cases.ts";

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

describe("kdf()", () => {
  // wireguard-go, device/kdf_test.go.
  test.for([
    {
      key: "test-key",
      input: "test-input",
      out: [
        "6f0e5ad38daba1bea8a0d213688736f19763239305e0f58aba697f9ffc41c633",
        "df1194df20802a4fe594cde27e92991c8cae66c366e8106aaa937a55fa371e8a",
        "fac6e2745a325f5dc5d11a5b165aad08b0ada28e7b4e666b7c077934a4d76c24",
      ],
    },
    {
      key: "wireguard",
      input: "wireguard",
      out: [
        "491d43bbfdaa8750aaf535e334ecbfe5129967cd64635101c566d4caefda96e8",
        "1e71a379baefd8a79aa4662212fcafe19a23e2b609a3db7d6bcba8f560e3d25f",
        "31e1ae48bddfbe5de38f295e5452b1909a1b4e38e183926af3780b0c1e1f0160",
      ],
    },
    {
      key: "",
      input: "",
      out: [
        "8387b46bf43eccfcf349552a095d8315c4055beb90208fb1be23b894bc2ed5d0",
        "58a0e5f6faefccf4807bff1f05fa8a9217945762040bcec2f4b4a62bdfe0e86e",
        "0ce6ea98ec548f8e281e93e32db65621c45eb18dc6f0a7ad94178610a2f7338e",
      ],
    },
  ])("of $key and $input; fewer outputs are its beginning", ({ key, input, out }) => {
    for (const n of [1, 2, 3]) {
      const made = Array.from({ length: n }, () => new Uint8Array(32));
      wiping(crypto).kdf(made, utf8(key), utf8(input));
      expect(made.map(toHex)).toEqual(out.slice(0, n));
    }
  });
});

describe("Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s", () => {
  const v = vectors<Record<string, string>>("noise");
  const get = (name: string): Uint8Array => hex(v[name]!);
  const initiator = { local: pairOf(v.initiatorStatic!), ephemeral: pairOf(v.initiatorEphemeral!) };
  const responder = { local: pairOf(v.responderStatic!), ephemeral: pairOf(v.responderEphemeral!) };
  const from = start(crypto, get("prologue"));
  const ss = crypto.dh(initiator.local.private, responder.local.public)!;
  const write = (t: Transcript, payload: Uint8Array, remote = responder.local.public): { static: Uint8Array; payload: Uint8Array } | undefined => {
    const out = { static: new Uint8Array(48), payload: new Uint8Array(payload.length + 16) };
    return writeInitiation(t, from, { ...initiator, remote, ss, payload }, out) ? out : undefined;
  };

  test("gives the messages of the published vector, both sides", () => {
    const [sending, receiving] = [transcript(), transcript()];
    const written = write(sending, get("payload1"))!;
    expect(toHex(concat(initiator.ephemeral.public, written.static, written.payload))).toBe(v.message1);

    const remote = readInitiator(receiving, from, { local: responder.local, ephemeral: initiator.ephemeral.public, static: written.static })!;
    expect(toHex(remote)).toBe(toHex(initiator.local.public));
    expect(toHex(readInitiationPayload(receiving, ss, written.payload)!)).toBe(v.payload1);

    const psk = get("psk");
    const answer = {
      ephemeral: responder.ephemeral,
      remoteEphemeral: initiator.ephemeral.public,
      remote,
      psk,
      payload: get("payload2"),
    };
    const sealed = new Uint8Array(answer.payload.length + 16);
    expect(writeResponse(receiving, answer, sealed)).toBe(true);
    expect(toHex(concat(responder.ephemeral.public, sealed))).toBe(v.message2);

    const read = { ...initiator, remoteEphemeral: responder.ephemeral.public, psk, payload: sealed };
    expect(toHex(readResponse(sending, read)!)).toBe(v.payload2);
    expect(toHex(sending.hash)).toBe(v.handshakeHash);
    expect(toHex(receiving.hash)).toBe(v.handshakeHash);

    const keys = Array.from({ length: 4 }, () => new Uint8Array(32));
    sending.split(keys[0]!, keys[1]!);
    receiving.split(keys[2]!, keys[3]!);
    expect(keys.slice(0, 2)).toEqual(keys.slice(2));
    expect(toHex(crypto.seal(keys[0]!, new Uint8Array(12), get("payload3"), new Uint8Array(0)))).toBe(v.message3);
  });

  test("any changed bit of message 1 is refused", () => {
    const written = write(transcript(), get("payload1"))!;
    for (const [field, bytes] of Object.entries({ static: written.static, payload: written.payload }))
      for (let i = 0; i < bytes.length; i += 5) {
        const bad = bytes.slice();
        bad[i]! ^= 0x10;
        const a = { static: written.static, payload: written.payload, [field]: bad };
        const t = transcript();
        const opened = readInitiator(t, from, { local: responder.local, ephemeral: initiator.ephemeral.public, static: a.static });
        expect(opened && readInitiationPayload(t, ss, a.payload)).toBeUndefined();
        expect([t.chain, t.hash].every(isZero), "wiped").toBe(true);
      }
  });

  test("ephemeral and static keys of low order are refused by every step", () => {
    const zero = new Uint8Array(32);
    const out = new Uint8Array(48);
    const t = (): Transcript => {
      const made = transcript();
      write(made, zero);
      return made;
    };
    expect(write(transcript(), zero, zero)).toBeUndefined();
    expect(readInitiator(transcript(), from, { local: responder.local, ephemeral: zero, static: zero })).toBeUndefined();
    const bad = { ephemeral: responder.ephemeral, psk: zero, payload: zero };
    expect(writeResponse(t(), { ...bad, remoteEphemeral: zero, remote: initiator.local.public }, out)).toBe(false);
    expect(writeResponse(t(), { ...bad, remoteEphemeral: initiator.ephemeral.public, remote: zero }, out)).toBe(false);
    expect(readResponse(t(), { ...initiator, remoteEphemeral: zero, psk: zero, payload: zero })).toBeUndefined();
  });
});

test("clamp() gives what wg shows", () => {
  const key = new Uint8Array(32).fill(255);
  clamp(key);
  expect([key[0], key[1], key[31]]).toEqual([248, 255, 127]);
});
