#include "cpp/cpu/target_avx2.h"

#include "cpp/cpu/attention/qkv_norm_rope_rows.h"
