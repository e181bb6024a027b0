#include "cpp/cpu/target_avx2.h"

#include "cpp/cpu/norm/group_norm_pixels.h"
