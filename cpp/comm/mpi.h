#pragma once
#include <memory>
#include <string>

#include "cpp/comm/engine.h"

namespace srpo::comm {

/// Opens srpo_mpi.node at `path` and begins MPI in this process, once: all later calls give the same
/// engine, for the devices whose memory is the host's.
///
/// @throws Error ERR_MPI, with what to do
std::shared_ptr<Engine> open_mpi(const std::string& path);

/// Hands root's bytes to all, at once: what the ranks must know before anything is enqueued.
void share_by_mpi(void* data, size_t bytes, int root);

/// "Open MPI v4.1.4 ..."; opens the library, begins nothing.
std::string mpi_version(const std::string& path);

/// Ends MPI if it has begun: in all ranks, since it waits for them. To be called when the streams'
/// threads have ended; mpirun takes a process that leaves without it for a failure.
void end_mpi();

}  // namespace srpo::comm
