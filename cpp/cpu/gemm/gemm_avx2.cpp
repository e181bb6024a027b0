#include "cpp/cpu/target_avx2.h"

#include "cpp/cpu/gemm/gemm_tile.h"
