#include "cpp/cpu/target_avx2.h"
#define SRPO_GEMM_LANES 8

#include "cpp/cpu/gemm/gemm_tile.h"
