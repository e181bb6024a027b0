#pragma once
#include <cuda_runtime.h>

#include <string>

#include "cpp/core/error.h"

namespace srpo::cuda {

/// "cudaErrorIllegalAddress: an illegal memory access was encountered".
std::string text_of(cudaError_t status);

/// Throws ERR_CUDA, or ERR_OUT_OF_MEMORY, with the call, the error's name and its text, the file and line.
void check(cudaError_t status, const char* call, const char* file, int line);

}  // namespace srpo::cuda

#define CUDA_CHECK(call) ::srpo::cuda::check(call, #call, __FILE__, __LINE__)
