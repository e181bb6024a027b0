#include "cpp/cpu/target_generic.h"

#define SRPO_CONV_SUMS 2  // of 16 registers, a vector being four
#define SRPO_CONV_VECTORS 1
#define SRPO_CONV_WEIGHT_ROWS 2
#include "cpp/cpu/conv/conv2d_float.h"
