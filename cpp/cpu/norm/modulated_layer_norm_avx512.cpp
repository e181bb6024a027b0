#include "cpp/cpu/target_avx512.h"

#include "cpp/cpu/norm/modulated_layer_norm_rows.h"
