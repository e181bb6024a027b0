import { native, type CommHandle } from "../native/binding.js";
import type { Device } from "../tensor/device.js";
import type { RankPlace } from "./place.js";

/** SRPO_NCCL, or "" for the libnccl.so.2 that the loader finds. */
function libraryPath(): string {
  return process.env["SRPO_NCCL"] ?? "";
}

/**
 * "2.30.7, libnccl.so.2"
 *
 * @throws SrpoError ERR_NCCL: what was tried and what to do, or that it is too old
 */
export function ncclVersion(): string {
  return native.ncclVersion(libraryPath());
}

/** What rank 0 makes and all others must be told, as text. */
export function newNcclId(): string {
  return Buffer.from(native.ncclId(libraryPath())).toString("base64");
}

/** Meets the ranks that were told the same id; resolves when the last has come. */
export function openNccl(place: RankPlace, device: Device, id: string): Promise<CommHandle> {
  const bytes = new Uint8Array(Buffer.from(id, "base64"));
  return native.commOpenNccl(libraryPath(), device, place.rank, place.size, bytes);
}
