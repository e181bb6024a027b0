#include "cpp/cpu/target_generic.h"
#define SRPO_GEMM_LANES 4

#include "cpp/cpu/gemm/gemm_tile.h"
