#include "cpp/cpu/target_avx512.h"

#include "cpp/cpu/gemm/gemm_tile.h"
