#pragma once
#include <memory>
#include <string>
#include <vector>

#include "cpp/core/tensor.h"
#include "cpp/io/file.h"
#include "cpp/io/safetensors_header.h"

namespace srpo::io {

/// Where a tensor's elements lie in a file.
struct StoredTensor {
  std::string name;
  FileDType dtype = FileDType::kF32;
  int64_t offset = 0;    // bytes, of its first element, from the start of the file
  int64_t elements = 0;  // as the tensor counts them
  /// Sizes and strides (in elements) where the elements do not lie in the tensor's order; else empty.
  std::vector<int64_t> sizes, strides;
};

/// A tensor that lies in the file in another order than its own is read whole before it is put in order;
/// a wider one is refused. The largest in a public checkpoint has a hundredth of it.
constexpr int64_t kMostStridedBytes = int64_t{1} << 30;

/// A file of tensors whose places were checked: each within the file.
class TensorFile : public std::enable_shared_from_this<TensorFile> {
 public:
  struct Safetensors {
    std::shared_ptr<const TensorFile> file;
    SafetensorsHeader header;
  };
  /// A safetensors file and its checked header. Throws ERR_CHECKPOINT.
  static Safetensors open_safetensors(const std::string& path);

  /// A file of another kind, whose tensors somebody else found. Throws ERR_CHECKPOINT for one that is not
  /// within the file, or whose strides are not.
  static std::shared_ptr<const TensorFile> open(const std::string& path,
                                                std::vector<StoredTensor> tensors);

  const std::string& path() const { return file_.path(); }
  size_t count() const { return tensors_.size(); }

  /// How the elements are laid into the tensor: as they come, or (channels > 0) with each run of
  /// channels * taps elements turned from [channels, taps] into [taps, channels]: a convolution's
  /// weight from [out, in, kh, kw] into [out, kh, kw, in]. Floats are multiplied by `scale` before they
  /// are rounded to the tensor's dtype.
  struct Layout {
    int64_t channels = 0, taps = 0;
    float scale = 1.f;
  };

  /// Enqueues the read of as many elements as `to` has, from element `first` of a tensor of the file on,
  /// converted to its dtype. What goes wrong in the file's data surfaces at the stream's next wait.
  /// Throws ERR_SHAPE, ERR_DTYPE.
  void read_into(const Tensor& to, size_t index, int64_t first, Layout layout) const;

  /// The value of a tensor of one float element, now. Throws ERR_SHAPE, ERR_DTYPE, ERR_CHECKPOINT.
  float scalar(size_t index) const;

 private:
  explicit TensorFile(const std::string& path) : file_(path) {}
  void add(StoredTensor tensor);

  File file_;
  std::vector<StoredTensor> tensors_;
};

}  // namespace srpo::io
