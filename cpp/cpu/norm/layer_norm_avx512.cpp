#include "cpp/cpu/target_avx512.h"

#include "cpp/cpu/norm/layer_norm_rows.h"
