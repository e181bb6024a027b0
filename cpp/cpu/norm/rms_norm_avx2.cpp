#include "cpp/cpu/target_avx2.h"

#include "cpp/cpu/norm/rms_norm_rows.h"
