#include "cpp/cpu/target_avx512.h"

#include "cpp/cpu/attention/attention_rows.h"
