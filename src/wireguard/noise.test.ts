import { describe, expect, test } from "vitest";
import { concat, toHex } from "../base/bytes.ts";
import { nobleCrypto as crypto } from "../crypto/noble.ts";
import { clamp, kdf, readInitiationPayload, readInitiator, readResponse, start, writeInitiation, writeResponse } from "./noise.ts";
import { hex, pairOf, vectors } from "./vectors.cases.ts";

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
    for (const n of [1, 2, 3] as const) expect(kdf(crypto, n, utf8(key), utf8(input)).map(toHex)).toEqual(out.slice(0, n));
  });
});

describe("Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s", () => {
  const v = vectors<Record<string, string>>("noise");
  const get = (name: string): Uint8Array => hex(v[name]!);
  const initiator = { local: pairOf(v.initiatorStatic!), ephemeral: pairOf(v.initiatorEphemeral!) };
  const responder = { local: pairOf(v.responderStatic!), ephemeral: pairOf(v.responderEphemeral!) };
  const from = start(crypto, get("prologue"));
  const ss = crypto.dh(initiator.local.private, responder.local.public)!;

  test("gives the messages of the published vector, both sides", () => {
    const written = writeInitiation(crypto, from, { ...initiator, remote: responder.local.public, ss, payload: get("payload1") })!;
    expect(toHex(concat(initiator.ephemeral.public, written.static, written.payload))).toBe(v.message1);

    const opened = readInitiator(crypto, from, { local: responder.local, ephemeral: initiator.ephemeral.public, static: written.static })!;
    expect(toHex(opened.remote)).toBe(toHex(initiator.local.public));
    expect(toHex(readInitiationPayload(opened.transcript, ss, written.payload)!)).toBe(v.payload1);

    const psk = get("psk");
    const answer = {
      ephemeral: responder.ephemeral,
      remoteEphemeral: initiator.ephemeral.public,
      remote: opened.remote,
      psk,
      payload: get("payload2"),
    };
    const sealed = writeResponse(crypto, opened.transcript, answer)!;
    expect(toHex(concat(responder.ephemeral.public, sealed))).toBe(v.message2);

    const read = { ...initiator, remoteEphemeral: responder.ephemeral.public, psk, payload: sealed };
    expect(toHex(readResponse(crypto, written.transcript, read)!)).toBe(v.payload2);
    expect(toHex(written.transcript.hash)).toBe(v.handshakeHash);
    expect(toHex(opened.transcript.hash)).toBe(v.handshakeHash);

    const [send, receive] = written.transcript.split();
    expect(opened.transcript.split()).toEqual([send, receive]);
    expect(toHex(crypto.seal(send, new Uint8Array(12), get("payload3"), new Uint8Array(0)))).toBe(v.message3);
  });

  test("any changed bit of message 1 is refused", () => {
    const written = writeInitiation(crypto, from, { ...initiator, remote: responder.local.public, ss, payload: get("payload1") })!;
    for (const [field, bytes] of Object.entries({ static: written.static, payload: written.payload }))
      for (let i = 0; i < bytes.length; i += 5) {
        const bad = bytes.slice();
        bad[i]! ^= 0x10;
        const a = { static: written.static, payload: written.payload, [field]: bad };
        const opened = readInitiator(crypto, from, { local: responder.local, ephemeral: initiator.ephemeral.public, static: a.static });
        expect(opened && readInitiationPayload(opened.transcript, ss, a.payload)).toBeUndefined();
      }
  });

  test("ephemeral and static keys of low order are refused by every step", () => {
    const zero = new Uint8Array(32);
    const t = writeInitiation(crypto, from, { ...initiator, remote: responder.local.public, ss, payload: zero })!.transcript;
    expect(writeInitiation(crypto, from, { ...initiator, remote: zero, ss, payload: zero })).toBeUndefined();
    expect(readInitiator(crypto, from, { local: responder.local, ephemeral: zero, static: zero })).toBeUndefined();
    const bad = { ephemeral: responder.ephemeral, psk: zero, payload: zero };
    expect(writeResponse(crypto, t.clone(), { ...bad, remoteEphemeral: zero, remote: initiator.local.public })).toBeUndefined();
    expect(writeResponse(crypto, t.clone(), { ...bad, remoteEphemeral: initiator.ephemeral.public, remote: zero })).toBeUndefined();
    expect(readResponse(crypto, t.clone(), { ...initiator, remoteEphemeral: zero, psk: zero, payload: zero })).toBeUndefined();
  });
});

test("clamp() gives what wg shows", () => {
  const key = new Uint8Array(32).fill(255);
  clamp(key);
  expect([key[0], key[1], key[31]]).toEqual([248, 255, 127]);
});
