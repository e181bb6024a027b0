#include "cpp/cpu/target_generic.h"

#include "cpp/cpu/gemm/linear_rows.h"
