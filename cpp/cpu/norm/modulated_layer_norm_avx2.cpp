#include "cpp/cpu/target_avx2.h"

#include "cpp/cpu/norm/modulated_layer_norm_rows.h"
