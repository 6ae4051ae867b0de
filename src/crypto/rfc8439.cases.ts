// The numbers of RFC 8439 (sections 2.3 to 2.8 and appendix A) and of draft-irtf-cfrg-xchacha-03, as hex.
import { toHex, utf8 } from "../base/bytes.ts";

const text = (s: string): string => toHex(utf8(s));
const zeros = (n: number): string => "00".repeat(n);
const counting = (from: number, n: number): string => toHex(new Uint8Array(n).map((_, i) => from + i));

const SUNSCREEN = text("Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.");
const CONTRIBUTION = text(
  'Any submission to the IETF intended by the Contributor for publication as all or part of an IETF Internet-Draft or RFC and any statement made within the context of an IETF activity is considered an "IETF Contribution". Such statements include oral statements in IETF sessions, as well as written and electronic communications made at any time or place, which are addressed to',
);
const JABBERWOCKY = text(
  "'Twas brillig, and the slithy toves\nDid gyre and gimble in the wabe:\nAll mimsy were the borogoves,\nAnd the mome raths outgrabe.",
);
const DRAFTS = text(
  "Internet-Drafts are draft documents valid for a maximum of six months and may be updated, replaced, or obsoleted by other documents at any time. It is inappropriate to use Internet-Drafts as reference material or to cite them other than as /“work in progress./”",
);
const KEY = "1c9240a5eb55d38af333888604f6b5f0473917c1402b80099dca5cbc207075c0";
const ONE = `${zeros(31)}01`;
const TWO = `${zeros(11)}02`;

/** ChaCha20: the key stream where `plain` is zeros. */
export const CHACHA20 = [
  {
    name: "2.3.2",
    key: counting(0, 32),
    nonce: "000000090000004a00000000",
    counter: 1,
    plain: zeros(64),
    out: "10f1e7e4d13b5915500fdd1fa32071c4c7d1f4c733c068030422aa9ac3d46c4ed2826446079faa0914c2d705d98b02a2b5129cd1de164eb9cbd083e8a2503c4e",
  },
  {
    name: "2.4.2",
    key: counting(0, 32),
    nonce: "000000000000004a00000000",
    counter: 1,
    plain: SUNSCREEN,
    out: "6e2e359a2568f98041ba0728dd0d6981e97e7aec1d4360c20a27afccfd9fae0bf91b65c5524733ab8f593dabcd62b3571639d624e65152ab8f530c359f0861d807ca0dbf500d6a6156a38e088a22b65e52bc514d16ccf806818ce91ab77937365af90bbf74a35be6b40b8eedf2785e42874d",
  },
  {
    name: "2.6.2: the key of Poly1305",
    key: counting(0x80, 32),
    nonce: "000000000001020304050607",
    counter: 0,
    plain: zeros(32),
    out: "8ad5a08b905f81cc815040274ab29471a833b637e3fd0da508dbb8e2fdd1a646",
  },
  {
    name: "A.1 #1 and A.2 #1",
    key: zeros(32),
    nonce: zeros(12),
    counter: 0,
    plain: zeros(64),
    out: "76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7da41597c5157488d7724e03fb8d84a376a43b8f41518a11cc387b669b2ee6586",
  },
  {
    name: "A.1 #2",
    key: zeros(32),
    nonce: zeros(12),
    counter: 1,
    plain: zeros(64),
    out: "9f07e7be5551387a98ba977c732d080dcb0f29a048e3656912c6533e32ee7aed29b721769ce64e43d57133b074d839d531ed1f28510afb45ace10a1f4b794d6f",
  },
  {
    name: "A.1 #3",
    key: ONE,
    nonce: zeros(12),
    counter: 1,
    plain: zeros(64),
    out: "3aeb5224ecf849929b9d828db1ced4dd832025e8018b8160b82284f3c949aa5a8eca00bbb4a73bdad192b5c42f73f2fd4e273644c8b36125a64addeb006c13a0",
  },
  {
    name: "A.1 #4",
    key: `00ff${zeros(30)}`,
    nonce: zeros(12),
    counter: 2,
    plain: zeros(64),
    out: "72d54dfbf12ec44b362692df94137f328fea8da73990265ec1bbbea1ae9af0ca13b25aa26cb4a648cb9b9d1be65b2c0924a66c54d545ec1b7374f4872e99f096",
  },
  {
    name: "A.1 #5",
    key: zeros(32),
    nonce: TWO,
    counter: 0,
    plain: zeros(64),
    out: "c2c64d378cd536374ae204b9ef933fcd1a8b2288b3dfa49672ab765b54ee27c78a970e0e955c14f3a88e741b97c286f75f8fc299e8148362fa198a39531bed6d",
  },
  {
    name: "A.2 #2",
    key: ONE,
    nonce: TWO,
    counter: 1,
    plain: CONTRIBUTION,
    out: "a3fbf07df3fa2fde4f376ca23e82737041605d9f4f4f57bd8cff2c1d4b7955ec2a97948bd3722915c8f3d337f7d370050e9e96d647b7c39f56e031ca5eb6250d4042e02785ececfa4b4bb5e8ead0440e20b6e8db09d881a7c6132f420e52795042bdfa7773d8a9051447b3291ce1411c680465552aa6c405b7764d5e87bea85ad00f8449ed8f72d0d662ab052691ca66424bc86d2df80ea41f43abf937d3259dc4b2d0dfb48a6c9139ddd7f76966e928e635553ba76c5c879d7b35d49eb2e62b0871cdac638939e25e8a1e0ef9d5280fa8ca328b351c3c765989cbcf3daa8b6ccc3aaf9f3979c92b3720fc88dc95ed84a1be059c6499b9fda236e7e818b04b0bc39c1e876b193bfe5569753f88128cc08aaa9b63d1a16f80ef2554d7189c411f5869ca52c5b83fa36ff216b9c1d30062bebcfd2dc5bce0911934fda79a86f6e698ced759c3ff9b6477338f3da4f9cd8514ea9982ccafb341b2384dd902f3d1ab7ac61dd29c6f21ba5b862f3730e37cfdc4fd806c22f221",
  },
  {
    name: "A.2 #3",
    key: KEY,
    nonce: TWO,
    counter: 42,
    plain: JABBERWOCKY,
    out: "62e6347f95ed87a45ffae7426f27a1df5fb69110044c0d73118effa95b01e5cf166d3df2d721caf9b21e5fb14c616871fd84c54f9d65b283196c7fe4f60553ebf39c6402c42234e32a356b3e764312a61a5532055716ead6962568f87d3f3f7704c6a8d1bcd1bf4d50d6154b6da731b187b58dfd728afa36757a797ac188d1",
  },
  {
    name: "A.4 #2",
    key: ONE,
    nonce: TWO,
    counter: 0,
    plain: zeros(32),
    out: "ecfa254f845f647473d3cb140da9e87606cb33066c447b87bc2666dde3fbb739",
  },
  {
    name: "A.4 #3",
    key: KEY,
    nonce: TWO,
    counter: 0,
    plain: zeros(32),
    out: "965e3bc6f9ec7ed9560808f4d229f94b137ff275ca9b3fcbdd59deaad23310ae",
  },
];

/** Poly1305. */
export const POLY1305 = [
  {
    name: "2.5.2",
    key: "85d6be7857556d337f4452fe42d506a80103808afb0db2fd4abff6af4149f51b",
    message: text("Cryptographic Forum Research Group"),
    tag: "a8061dc1305136c6c22b8baf0c0127a9",
  },
  { name: "A.3 #1", key: zeros(32), message: zeros(64), tag: zeros(16) },
  {
    name: "A.3 #2",
    key: `${zeros(16)}36e5f6b5c5e06070f0efca96227a863e`,
    message: CONTRIBUTION,
    tag: "36e5f6b5c5e06070f0efca96227a863e",
  },
  {
    name: "A.3 #3",
    key: `36e5f6b5c5e06070f0efca96227a863e${zeros(16)}`,
    message: CONTRIBUTION,
    tag: "f3477e7cd95417af89a6b8794c310cf0",
  },
  { name: "A.3 #4", key: KEY, message: JABBERWOCKY, tag: "4541669a7eaaee61e708dc7cbcc5eb62" },
  { name: "A.3 #5", key: `02${zeros(31)}`, message: "ff".repeat(16), tag: `03${zeros(15)}` },
  { name: "A.3 #6", key: `02${zeros(15)}${"ff".repeat(16)}`, message: `02${zeros(15)}`, tag: `03${zeros(15)}` },
  {
    name: "A.3 #7",
    key: `01${zeros(31)}`,
    message: `${"ff".repeat(16)}f0${"ff".repeat(15)}11${zeros(15)}`,
    tag: `05${zeros(15)}`,
  },
  {
    name: "A.3 #8",
    key: `01${zeros(31)}`,
    message: `${"ff".repeat(16)}fb${"fe".repeat(15)}${"01".repeat(16)}`,
    tag: zeros(16),
  },
  { name: "A.3 #9", key: `02${zeros(31)}`, message: `fd${"ff".repeat(15)}`, tag: `fa${"ff".repeat(15)}` },
  {
    name: "A.3 #10",
    key: `01${zeros(7)}04${zeros(23)}`,
    message: `e33594d7505e43b900000000000000003394d7505e4379cd01${zeros(7)}${zeros(16)}01${zeros(15)}`,
    tag: `14${zeros(7)}55${zeros(7)}`,
  },
  {
    name: "A.3 #11",
    key: `01${zeros(7)}04${zeros(23)}`,
    message: `e33594d7505e43b900000000000000003394d7505e4379cd01${zeros(7)}${zeros(16)}`,
    tag: `13${zeros(15)}`,
  },
];

/** AEAD_CHACHA20_POLY1305, and AEAD_XChaCha20_Poly1305 where the nonce has 24 bytes. */
export const AEAD = [
  {
    name: "RFC 8439 section 2.8.2",
    key: counting(0x80, 32),
    nonce: `07000000${counting(0x40, 8)}`,
    aad: "50515253c0c1c2c3c4c5c6c7",
    plain: SUNSCREEN,
    sealed:
      "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b3692ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc3ff4def08e4b7a9de576d26586cec64b61161ae10b594f09e26a7e902ecbd0600691",
  },
  {
    name: "RFC 8439 appendix A.5",
    key: KEY,
    nonce: "000000000102030405060708",
    aad: "f33388860000000000004e91",
    plain: DRAFTS,
    sealed:
      "64a0861575861af460f062c79be643bd5e805cfd345cf389f108670ac76c8cb24c6cfc18755d43eea09ee94e382d26b0bdb7b73c321b0100d4f03b7f355894cf332f830e710b97ce98c8a84abd0b948114ad176e008d33bd60f982b1ff37c8559797a06ef4f0ef61c186324e2b3506383606907b6a7c02b0f9f6157b53c867e4b9166c767b804d46a59b5216cde7a4e99040c5a40433225ee282a1b0a06c523eaf4534d7f83fa1155b0047718cbc546a0d072b04b3564eea1b422273f548271a0bb2316053fa76991955ebd63159434ecebb4e466dae5a1073a6727627097a1049e617d91d361094fa68f0ff77987130305beaba2eda04df997b714d6c6f2c29a6ad5cb4022b02709beead9d67890cbb22392336fea1851f38",
  },
  {
    name: "draft-irtf-cfrg-xchacha-03 appendix A.3.1",
    key: counting(0x80, 32),
    nonce: counting(0x40, 24),
    aad: "50515253c0c1c2c3c4c5c6c7",
    plain: SUNSCREEN,
    sealed:
      "bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb731c7f1b0b4aa6440bf3a82f4eda7e39ae64c6708c54c216cb96b72e1213b4522f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff921f9664c97637da9768812f615c68b13b52ec0875924c1c7987947deafd8780acf49",
  },
];
