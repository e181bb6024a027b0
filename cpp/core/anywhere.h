// What the cpu column and the CUDA sources share is compiled for the host and for the device.
#pragma once

#ifdef __CUDACC__
#define SRPO_HOST_DEVICE __host__ __device__
#define SRPO_ANYWHERE __host__ __device__ static __forceinline__
#else
#define SRPO_HOST_DEVICE
#define SRPO_ANYWHERE [[gnu::always_inline]] static inline
#endif
