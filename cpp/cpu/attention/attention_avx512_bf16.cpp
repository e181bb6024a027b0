#include "cpp/cpu/target_avx512_bf16.h"

#include "cpp/cpu/attention/attention_rows.h"
