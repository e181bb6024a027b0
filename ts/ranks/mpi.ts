import { existsSync } from "node:fs";
import path from "node:path";
import { native } from "../native/binding.js";
import { SrpoError } from "../native/error.js";
import { addonPath } from "../native/load.js";
import type { RankPlace } from "./place.js";

/** Where the build puts the MPI library, if MPI was found. */
export const mpiPath: string = path.join(path.dirname(addonPath), "srpo_mpi.node");

/** Whether this build has MPI. */
export function hasMpi(): boolean {
  return existsSync(mpiPath);
}

/**
 * Begins MPI in this process: it must have been started by mpirun, or srun with MPI's plugin.
 *
 * @throws SrpoError ERR_MPI, with what to do
 */
export function beginMpi(place: RankPlace): void {
  if (!hasMpi())
    throw new SrpoError(
      "ERR_MPI",
      `mpi: expected ${mpiPath}, which is built where MPI is found; on Debian: ` +
        'apt-get install openmpi-bin libopenmpi-dev, then "npm run build:native"',
    );
  const [rank, size] = native.mpiBegin(mpiPath);
  if (rank !== place.rank || size !== place.size)
    throw new SrpoError(
      "ERR_MPI",
      `mpi: expected rank ${place.rank} of ${place.size} as ${place.launcher} says, got ${rank} of ${size}; ` +
        'ranks without GPUs are started by mpirun, which "srpo-native launch" does',
    );
}

/** A short text of rank 0's, told to all ranks; MPI has begun. */
export function shareText(text: string): string {
  const bytes = new Uint8Array(4096);
  const encoded = new TextEncoder().encode(text);
  if (encoded.length > bytes.length)
    throw new SrpoError("ERR_MPI", `mpi: expected at most ${bytes.length} bytes to share`);
  bytes.set(encoded);
  native.mpiShare(bytes, 0);
  return new TextDecoder().decode(bytes.subarray(0, bytes.indexOf(0)));
}
