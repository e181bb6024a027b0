#include "cpp/cpu/target_avx512.h"

#include "cpp/cpu/conv/conv2d_float.h"
