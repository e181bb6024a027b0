#include "cpp/cpu/target_avx2.h"

#include "cpp/cpu/reduce_rows.h"
