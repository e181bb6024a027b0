#include "cpp/cpu/target_generic.h"

#include "cpp/cpu/attention/qkv_norm_rope_rows.h"
