#include "cpp/cpu/target_avx2.h"

#include "cpp/cpu/norm/layer_norm_rows.h"
