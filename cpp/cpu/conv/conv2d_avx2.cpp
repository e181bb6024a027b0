#include "cpp/cpu/target_avx2.h"

#include "cpp/cpu/conv/conv2d_float.h"
