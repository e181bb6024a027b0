#include "cpp/cpu/target_avx512.h"

#include "cpp/cpu/reduce_rows.h"
