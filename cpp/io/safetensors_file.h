#pragma once
#include <memory>
#include <string>

#include "cpp/core/tensor.h"
#include "cpp/io/file.h"
#include "cpp/io/safetensors_header.h"

namespace srpo::io {

/// A safetensors file whose header was checked.
class SafetensorsFile : public std::enable_shared_from_this<SafetensorsFile> {
 public:
  /// Throws ERR_CHECKPOINT.
  static std::shared_ptr<const SafetensorsFile> open(const std::string& path);

  const SafetensorsHeader& header() const { return header_; }
  const std::string& path() const { return file_.path(); }

  /// How the elements are laid into the tensor: as they come, or (channels > 0) with each run of
  /// channels * taps elements turned from [channels, taps] into [taps, channels]: a convolution's
  /// weight from [out, in, kh, kw] into [out, kh, kw, in].
  struct Layout {
    int64_t channels = 0, taps = 0;
  };

  /// Enqueues the read of as many elements as `to` has, from element `first` of a tensor of the file on,
  /// converted to its dtype. What goes wrong in the file's data surfaces at the stream's next wait.
  /// Throws ERR_SHAPE, ERR_DTYPE.
  void read_into(const Tensor& to, size_t index, int64_t first, Layout layout) const;

 private:
  explicit SafetensorsFile(const std::string& path);

  File file_;
  SafetensorsHeader header_;
  int64_t data_start_ = 0;
};

}  // namespace srpo::io
