import { native } from "../native/binding.js";
import type { Device } from "../tensor/device.js";
import type { Communicator } from "./communicator.js";
import { beginMpi, mpiPath } from "./mpi.js";
import { NativeCommunicator } from "./native_communicator.js";
import type { RankPlace } from "./place.js";
import { soloCommunicator } from "./solo.js";

/**
 * Meets the other ranks: over NCCL on GPUs, over MPI on cpu and emulated. One rank alone meets nobody.
 *
 * @throws SrpoError ERR_MPI, ERR_NCCL, ERR_RANKS (who was not met, where, after how long)
 */
export async function openCommunicator(place: RankPlace, device: Device): Promise<Communicator> {
  if (place.size === 1) return soloCommunicator();
  beginMpi(place);
  const handle = native.commOpenMpi(mpiPath, device);
  return new NativeCommunicator(handle, place, device, async () => {});
}
