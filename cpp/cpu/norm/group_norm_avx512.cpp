#include "cpp/cpu/target_avx512.h"

#include "cpp/cpu/norm/group_norm_pixels.h"
