#include "cpp/cpu/target_avx512.h"
#define SRPO_GEMM_LANES 16

#include "cpp/cpu/gemm/gemm_tile.h"
