#include "cpp/cpu/target_generic.h"

#include "cpp/cpu/norm/group_norm_pixels.h"
