#include "cpp/cpu/target_avx2.h"

#define SRPO_CONV_SUMS 6  // of 16 registers, a vector being two
#define SRPO_CONV_VECTORS 1
#define SRPO_CONV_WEIGHT_ROWS 4
#include "cpp/cpu/conv/conv2d_float.h"
