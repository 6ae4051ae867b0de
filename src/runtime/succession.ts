// A running device as its control socket offers it to a successor: it comes to rest, gives itself away, and goes on when that fails.
import type { Log } from "../base/log.ts";
import type { Tun, TunOffloads } from "../sys/tun.ts";
import { UnixChannel } from "../sys/unixchannel.ts";
import type { HandOverHost } from "../uapi/server.ts";
import type { Device, Moment } from "../wireguard/index.ts";
import { giveAway, greet, ownNetwork, refuse, strangerAt } from "./handover.ts";
import type { LiveDevice } from "./livedevice.ts";
import { goOn, rest } from "./mailbox.ts";

export type SuccessionParts = {
  readonly device: Device;
  readonly liveDevice: LiveDevice;
  readonly mails: readonly Int32Array[];
  readonly tun: Tun;
  readonly segmentation: TunOffloads;
  readonly moment: () => Moment;
  readonly log: Log;
  /** The workers rest, and what comes now is for whoever goes on. */
  readonly resting: () => void;
  /** Of the listening control socket. */
  readonly listening: () => number;
  /** The successor has it: from this moment on nothing of the device may be used. */
  readonly given: () => void;
};

export function succession({ device, liveDevice, mails, tun, segmentation, moment, log, resting, listening, given }: SuccessionParts): HandOverHost {
  return {
    greet: (fd) => greet(fd, { network: ownNetwork(), now: moment().now, segmentation }, tun.fds),
    handOver(fd, busy) {
      const stranger = strangerAt(new UnixChannel(fd));
      if (stranger) return refuse(fd, stranger);
      if (busy) return refuse(fd, "somebody is in the middle of changing the running device");
      if (!rest(mails)) return refuse(fd, "the data threads of the running device do not come to rest");
      let why: string | undefined = "its state could not be collected";
      try {
        // A filter of ours knows no session that a successor makes.
        resting();
        // Handshake messages that wait here reach nobody else.
        do liveDevice.perform(device.receive(moment()));
        while (device.backlog);
        const { port, mark, up, sockets } = liveDevice.belongings();
        const fds = [listening(), ...sockets.flatMap(({ v4, v6 }) => (v6 < 0 ? [v4] : [v4, v6]))];
        const state = { device: device.snapshot(), up, port, mark, sockets: sockets.map(({ v6 }) => ({ v6: v6 >= 0 })) };
        why = giveAway(fd, state, fds);
      } finally {
        if (why !== undefined) goOn(mails);
      }
      if (why === undefined) return given();
      log.warn("a successor did not take over: this device goes on", { why });
    },
  };
}
