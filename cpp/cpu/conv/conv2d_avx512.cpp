#include "cpp/cpu/target_avx512.h"

#define SRPO_CONV_SUMS 24  // of 32 registers
#define SRPO_CONV_VECTORS 4
#define SRPO_CONV_WEIGHT_ROWS 8
#include "cpp/cpu/conv/conv2d_float.h"
