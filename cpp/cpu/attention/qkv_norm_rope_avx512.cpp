#include "cpp/cpu/target_avx512.h"

#include "cpp/cpu/attention/qkv_norm_rope_rows.h"
