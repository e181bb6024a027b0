#include "cpp/cpu/target_avx512.h"

#include "cpp/cpu/random/random_fill_rows.h"
