import { describe, expect, test } from "vitest";
import { isZero, toHex } from "../base/bytes.ts";
import { nobleCrypto as crypto } from "../crypto/noble.ts";
import { CookieChecker, CookieMaker } from "./cookie.ts";
import { makeInitiation, makeResponse, openInitiation, openResponse, openTimestamp } from "./handshake.ts";
import { Initiation, Response } from "./messages.ts";
import { PROLOGUE, start } from "./noise.ts";
import { endpoint } from "./rig.cases.ts";
import { type Handshake, hex, pairOf, room, scripted, transcript, vectors } from "./vectors.cases.ts";

const v = vectors<Handshake>("handshake");
const from = start(crypto, PROLOGUE);
const initiator = pairOf(v.initiatorStatic);
const responder = pairOf(v.responderStatic);
const ephemeral = pairOf(v.initiatorEphemeral);
const sent = transcript();
const initiation = makeInitiation(sent, from, {
  index: v.initiatorIndex,
  local: initiator,
  ephemeral,
  remote: responder.public,
  ss: hex(v.ss),
  timestamp: hex(v.timestamp),
})!;
const saved = { chain: sent.chain.slice(), hash: sent.hash.slice() };
const waiting = { index: v.initiatorIndex, ephemeral, saved };
// cookie.ts fills the macs.
new CookieMaker(crypto, responder.public).fill(initiation, 0);

describe("the known handshake", () => {
  test("keys and constants", () => {
    expect(toHex(initiator.public)).toBe(v.initiatorStaticPublic);
    expect(toHex(responder.public)).toBe(v.responderStaticPublic);
    expect(toHex(from.chain)).toBe(v.chain0);
    expect(toHex(from.hash)).toBe(v.hash0);
    expect(toHex(crypto.dh(initiator.private, responder.public)!)).toBe(v.ss);
  });
  test("the initiation, with mac1", () => {
    expect(toHex(initiation)).toBe(v.initiation);
    expect(toHex(saved.chain)).toBe(v.chainAfterInitiation);
    expect(toHex(saved.hash)).toBe(v.hashAfterInitiation);
  });
  test("the response, and both sides' transport keys", () => {
    const t = transcript();
    const opened = openInitiation(t, from, responder, hex(v.initiation))!;
    expect(toHex(opened.remote)).toBe(v.initiatorStaticPublic);
    expect(opened.sender).toBe(v.initiatorIndex);
    expect(toHex(openTimestamp(t, hex(v.ss), hex(v.initiation))!)).toBe(v.timestamp);
    const answer = { index: v.responderIndex, ephemeral: pairOf(v.responderEphemeral), psk: hex(v.psk) };
    const [its, ours] = [room(), room()];
    const response = makeResponse(t, opened, answer, its)!;
    expect([toHex(t.chain), toHex(t.hash)]).toEqual([v.chainAfterResponse, v.hashAfterResponse]);
    new CookieMaker(crypto, initiator.public).fill(response, 0);
    expect(toHex(response)).toBe(v.response);
    expect([toHex(its.receive), toHex(its.send)]).toEqual([v.initiatorToResponder, v.responderToInitiator]);
    expect(openResponse(transcript(), waiting, { local: initiator, psk: hex(v.psk) }, hex(v.response), ours)).toBe(true);
    expect([toHex(ours.send), toHex(ours.receive)]).toEqual([v.initiatorToResponder, v.responderToInitiator]);
  });
  test("another preshared key, or none, fails at the response and leaves the initiator as it was", () => {
    for (const psk of [new Uint8Array(32), new Uint8Array(32).fill(1)]) {
      const t = transcript();
      expect(openResponse(t, waiting, { local: initiator, psk }, hex(v.response), room())).toBe(false);
      expect([t.chain, t.hash].every(isZero), "wiped").toBe(true);
    }
    expect(toHex(saved.hash)).toBe(v.hashAfterInitiation);
    expect(openResponse(transcript(), waiting, { local: initiator, psk: hex(v.psk) }, hex(v.response), room())).toBe(true);
  });
});

describe("cookies", () => {
  const source = endpoint("192.0.2.7", 20_000);
  const checkerWith = (): CookieChecker => new CookieChecker(scripted(hex(v.cookieSecret), hex(v.cookieNonce)), responder.public);

  test("the known reply, and mac2 with it", () => {
    expect(toHex(source.ip) + "4e20").toBe(v.cookieSource);
    const checker = checkerWith();
    const message = hex(v.initiation);
    expect(checker.mac1Valid(message)).toBe(true);
    expect(checker.mac2Valid(message, source, 0)).toBe(false);
    expect(toHex(checker.reply(message, source, 0))).toBe(v.cookieReply);
    const maker = new CookieMaker(crypto, responder.public);
    maker.fill(message, 0);
    expect(maker.consume(hex(v.cookieReply), 0)).toBe("taken");
    maker.fill(message, 0);
    expect(toHex(message.subarray(Initiation.MAC2))).toBe(v.mac2);
    expect(checker.mac2Valid(message, source, 0)).toBe(true);
    expect(checker.mac2Valid(message, endpoint("192.0.2.8", 20_000), 0), "another address").toBe(false);
    expect(checker.mac2Valid(message, endpoint("192.0.2.7", 20_001), 0), "another port").toBe(false);
    expect(checker.mac2Valid(message, source, 119_999)).toBe(true);
    expect(checker.mac2Valid(message, source, 120_000), "an old secret").toBe(false);
  });
  test("a reply counts once, only after a message of ours, and unchanged", () => {
    const maker = new CookieMaker(crypto, responder.public);
    expect(maker.consume(hex(v.cookieReply), 0)).toBe("unexpected");
    maker.fill(hex(v.initiation), 0);
    for (let i = 8; i < 64; i += 7) {
      const bad = hex(v.cookieReply);
      bad[i]! ^= 1;
      expect(maker.consume(bad, 0)).toBe("bad");
    }
    expect(maker.consume(hex(v.cookieReply), 0)).toBe("taken");
    expect(maker.consume(hex(v.cookieReply), 0)).toBe("unexpected");
  });
  test("a cookie is used for 115 s", () => {
    const maker = new CookieMaker(crypto, responder.public);
    const message = hex(v.initiation);
    maker.fill(message, 0);
    maker.consume(hex(v.cookieReply), 0);
    maker.fill(message, 114_999);
    expect(toHex(message.subarray(Initiation.MAC2))).toBe(v.mac2);
    maker.fill(message, 115_000);
    expect(toHex(message.subarray(Initiation.MAC2))).toBe("00".repeat(16));
  });
  test("a changed bit anywhere before mac1, or in it, is noticed", () => {
    for (const [text, length] of [
      [v.initiation, Initiation.MAC2],
      [v.response, Response.MAC2],
    ] as const) {
      const checker = new CookieChecker(crypto, text === v.initiation ? responder.public : initiator.public);
      expect(checker.mac1Valid(hex(text))).toBe(true);
      for (let i = 0; i < length; i++) {
        const bad = hex(text);
        bad[i]! ^= 0x80;
        expect(checker.mac1Valid(bad)).toBe(false);
      }
    }
  });
});
