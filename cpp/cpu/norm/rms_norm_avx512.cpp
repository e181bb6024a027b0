#include "cpp/cpu/target_avx512.h"

#include "cpp/cpu/norm/rms_norm_rows.h"
