import { lookup } from "node:dns/promises";
import type { Socket } from "node:net";
import os from "node:os";
import { native } from "../native/binding.js";
import { SrpoError } from "../native/error.js";

/** After which a machine that acknowledges nothing is cut off: a job ends within ten seconds. */
export const cutOffMs = 6000;

/**
 * Makes the kernel give a connection up, with an error, when the other machine has been silent for
 * `cutOffMs`. A process that was stopped is not silent: its kernel goes on acknowledging.
 */
export function noticeCutOff(socket: Socket): void {
  socket.setNoDelay(true);
  // Node has no name for TCP_USER_TIMEOUT. Without the descriptor the beats' time-out is left.
  const { _handle: handle } = socket as unknown as { _handle?: { fd?: number } };
  if (handle?.fd !== undefined && handle.fd >= 0) native.tcpCutOff(handle.fd, cutOffMs);
}

/** The address that a host's name stands for here; IPv4 where it has both. */
export async function addressOf(host: string): Promise<string> {
  try {
    return (await lookup(host, { family: 4 }).catch(() => lookup(host))).address;
  } catch (error) {
    throw new SrpoError("ERR_RANKS", `master: ${host} is the name of no address here`, {
      cause: error,
    });
  }
}

export function isLoopback(address: string): boolean {
  return address.startsWith("127.") || address === "::1";
}

/** An address of this machine at which others reach it: its name's, or its first interface's. */
export async function ownAddress(): Promise<string> {
  const named = await addressOf(os.hostname()).catch(() => "127.0.0.1");
  if (!isLoopback(named)) return named;
  const found = Object.values(os.networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .find(({ internal, family }) => !internal && family === "IPv4");
  return found?.address ?? named;
}
