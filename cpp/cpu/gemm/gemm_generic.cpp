#include "cpp/cpu/target_generic.h"

#include "cpp/cpu/gemm/gemm_tile.h"
