#include "cpp/io/safetensors_header.h"

#include <algorithm>

#include "cpp/core/check.h"

namespace srpo::io {
namespace {

constexpr int64_t kMostInteger = (int64_t{1} << 53) - 1;  // what JavaScript's numbers hold

/// The byte at which the text stops being UTF-8 (no overlong forms, no surrogates), or -1.
int64_t first_invalid_utf8(std::string_view text) {
  const auto* s = reinterpret_cast<const unsigned char*>(text.data());
  const size_t n = text.size();
  const auto continues = [&](size_t i) { return i < n && (s[i] & 0xc0) == 0x80; };
  for (size_t i = 0; i < n;) {
    const unsigned char c = s[i];
    size_t length = 1;
    if (c >= 0x80) {
      if (c >= 0xc2 && c <= 0xdf && continues(i + 1)) {
        length = 2;
      } else if (c >= 0xe0 && c <= 0xef && continues(i + 1) && continues(i + 2) &&
                 !(c == 0xe0 && s[i + 1] < 0xa0) && !(c == 0xed && s[i + 1] > 0x9f)) {
        length = 3;
      } else if (c >= 0xf0 && c <= 0xf4 && continues(i + 1) && continues(i + 2) &&
                 continues(i + 3) && !(c == 0xf0 && s[i + 1] < 0x90) &&
                 !(c == 0xf4 && s[i + 1] > 0x8f)) {
        length = 4;
      } else {
        return static_cast<int64_t>(i);
      }
    }
    i += length;
  }
  return -1;
}

void append_utf8(std::string& to, uint32_t point) {
  if (point < 0x80) {
    to += static_cast<char>(point);
  } else if (point < 0x800) {
    to += static_cast<char>(0xc0 | (point >> 6));
    to += static_cast<char>(0x80 | (point & 0x3f));
  } else if (point < 0x10000) {
    to += static_cast<char>(0xe0 | (point >> 12));
    to += static_cast<char>(0x80 | ((point >> 6) & 0x3f));
    to += static_cast<char>(0x80 | (point & 0x3f));
  } else {
    to += static_cast<char>(0xf0 | (point >> 18));
    to += static_cast<char>(0x80 | ((point >> 12) & 0x3f));
    to += static_cast<char>(0x80 | ((point >> 6) & 0x3f));
    to += static_cast<char>(0x80 | (point & 0x3f));
  }
}

/// The header's own grammar: an object of tensors, each an object of three known fields, beside one
/// object of strings. Nothing nests deeper, so nothing recurses.
class Parser {
 public:
  Parser(const std::string& file, std::string_view text) : file_(file), text_(text) {}

  SafetensorsHeader run() {
    skip_blanks();
    if (peek() != '{') unexpected("'{'");
    bool metadata_seen = false;
    object([&](std::string key) {
      if (key == "__metadata__") {
        if (metadata_seen) refuse_header("each key once", "__metadata__ twice");
        metadata_seen = true;
        metadata();
      } else {
        if (header_.tensors.size() == kMostTensors)
          refuse_header("at most " + std::to_string(kMostTensors) + " tensors", "more");
        tensor(std::move(key));
      }
    });
    skip_blanks();
    if (at_ != text_.size()) unexpected("nothing but blanks after the header");
    refuse_duplicates();
    return std::move(header_);
  }

 private:
  [[noreturn]] void refuse_header(const std::string& expected, const std::string& got) const {
    refuse("ERR_CHECKPOINT", file_.c_str(), "header", expected, got);
  }
  [[noreturn]] void refuse_tensor(const std::string& name, const std::string& expected,
                                  const std::string& got) const {
    refuse("ERR_CHECKPOINT", file_.c_str(), shown(name).c_str(), expected, got);
  }
  [[noreturn]] void unexpected(const std::string& expected) const {
    if (at_ >= text_.size()) refuse_header(expected, "the end of the header");
    const bool ascii = static_cast<unsigned char>(text_[at_]) < 0x80;
    refuse_header(expected,
                  (ascii ? "'" + shown(text_.substr(at_, 1)) + "'" : "another character") +
                      " at byte " + std::to_string(at_));
  }

  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  void skip_blanks() {
    while (at_ < text_.size() &&
           (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\r' || text_[at_] == '\t'))
      ++at_;
  }
  void expect(char c) {
    skip_blanks();
    if (peek() != c) unexpected(std::string("'") + c + "'");
    ++at_;
  }
  /// After a member: whether another follows.
  bool more(char close) {
    skip_blanks();
    if (peek() == close) {
      ++at_;
      return false;
    }
    if (peek() != ',') unexpected(std::string("',' or '") + close + "'");
    ++at_;
    return true;
  }

  template <typename F>
  void object(const F& member) {
    expect('{');
    skip_blanks();
    if (peek() == '}') {
      ++at_;
      return;
    }
    do {
      std::string key = string();
      expect(':');
      member(std::move(key));
    } while (more('}'));
  }

  uint32_t hex4() {
    uint32_t value = 0;
    for (int i = 0; i < 4; ++i, ++at_) {
      const char c = peek();
      if (c >= '0' && c <= '9')
        value = value * 16 + static_cast<uint32_t>(c - '0');
      else if (c >= 'a' && c <= 'f')
        value = value * 16 + static_cast<uint32_t>(c - 'a' + 10);
      else if (c >= 'A' && c <= 'F')
        value = value * 16 + static_cast<uint32_t>(c - 'A' + 10);
      else
        unexpected("four hexadecimal digits");
    }
    return value;
  }

  void escape(std::string& to) {
    ++at_;
    const char c = peek();
    ++at_;
    switch (c) {
      case '"':
      case '\\':
      case '/':
        to += c;
        return;
      case 'b':
        to += '\b';
        return;
      case 'f':
        to += '\f';
        return;
      case 'n':
        to += '\n';
        return;
      case 'r':
        to += '\r';
        return;
      case 't':
        to += '\t';
        return;
      case 'u':
        break;
      default:
        --at_;
        unexpected("an escape");
    }
    uint32_t point = hex4();
    if (point >= 0xd800 && point <= 0xdbff && text_.substr(at_, 2) == "\\u") {
      at_ += 2;
      const uint32_t low = hex4();
      if (low < 0xdc00 || low > 0xdfff) refuse_header("pairs of surrogates", "a lone one");
      point = 0x10000 + ((point - 0xd800) << 10) + (low - 0xdc00);
    } else if (point >= 0xd800 && point <= 0xdfff) {
      refuse_header("pairs of surrogates", "a lone one");
    }
    append_utf8(to, point);
  }

  std::string string() {
    skip_blanks();
    if (peek() != '"') unexpected("a string");
    ++at_;
    std::string value;
    while (true) {
      const size_t start = at_;
      while (at_ < text_.size() && text_[at_] != '"' && text_[at_] != '\\' &&
             static_cast<unsigned char>(text_[at_]) >= 0x20)
        ++at_;
      value.append(text_.substr(start, at_ - start));
      if (peek() == '"' && at_ < text_.size()) {
        ++at_;
        return value;
      }
      if (at_ >= text_.size() || text_[at_] != '\\') unexpected("the end of a string");
      escape(value);
    }
  }

  int64_t integer(const std::string& name, const char* what) {
    skip_blanks();
    const size_t start = at_;
    int64_t value = 0;
    while (peek() >= '0' && peek() <= '9') {
      if (value > kMostInteger / 10) refuse_tensor(name, what, "a number of more than 2^53");
      value = value * 10 + (peek() - '0');
      ++at_;
    }
    const bool leading_zero = at_ - start > 1 && text_[start] == '0';
    const char next = peek();
    if (at_ == start || leading_zero || next == '.' || next == 'e' || next == 'E')
      refuse_tensor(name, what, "'" + shown(text_.substr(start, at_ - start + 8)) + "'");
    if (value > kMostInteger) refuse_tensor(name, what, "a number of more than 2^53");
    return value;
  }

  template <typename F>
  void integers(const std::string& name, const char* what, const F& take) {
    skip_blanks();
    if (peek() != '[') unexpected("'['");
    ++at_;
    skip_blanks();
    if (peek() == ']') {
      ++at_;
      return;
    }
    do take(integer(name, what));
    while (more(']'));
  }

  void metadata() {
    object([&](std::string key) {
      if (header_.metadata.size() == kMostMetadata)
        refuse_header("at most " + std::to_string(kMostMetadata) + " entries of __metadata__",
                      "more");
      std::string value = string();
      header_.metadata.emplace_back(std::move(key), std::move(value));
    });
  }

  void tensor(std::string name) {
    constexpr auto kShape = "a shape of whole numbers";
    constexpr auto kOffsets = "data_offsets of two whole numbers";
    bool has_dtype = false, has_shape = false, has_offsets = false;
    TensorEntry entry;
    const auto once = [&](bool& seen, const char* field) {
      if (seen) refuse_tensor(name, "each field once", std::string(field) + " twice");
      seen = true;
    };
    object([&](const std::string& field) {
      if (field == "dtype") {
        once(has_dtype, "dtype");
        const std::string text = string();
        const auto dtype = file_dtype_of(text);
        if (!dtype)
          refuse_tensor(name, "a dtype such as F32, F16 or BF16", "\"" + shown(text) + "\"");
        entry.dtype = *dtype;
      } else if (field == "shape") {
        once(has_shape, "shape");
        integers(name, kShape, [&](int64_t size) {
          if (entry.shape.size() == kMostDimensions)
            refuse_tensor(name, "at most " + std::to_string(kMostDimensions) + " sizes", "more");
          entry.shape.push_back(size);
        });
      } else if (field == "data_offsets") {
        once(has_offsets, "data_offsets");
        int64_t offsets[2] = {};
        size_t count = 0;
        integers(name, kOffsets, [&](int64_t offset) {
          if (count == 2) refuse_tensor(name, kOffsets, "more");
          offsets[count++] = offset;
        });
        if (count != 2) refuse_tensor(name, kOffsets, std::to_string(count));
        entry.begin = offsets[0];
        entry.end = offsets[1];
      } else {
        refuse_tensor(name, "the fields dtype, shape and data_offsets", "\"" + shown(field) + "\"");
      }
    });
    if (!has_dtype || !has_shape || !has_offsets)
      refuse_tensor(name, "the fields dtype, shape and data_offsets",
                    std::string("no ") + (!has_dtype   ? "dtype"
                                          : !has_shape ? "shape"
                                                       : "data_offsets"));
    entry.name = std::move(name);
    header_.tensors.push_back(std::move(entry));
  }

  // By sorting: a hash table could be made quadratic by names that collide.
  void refuse_duplicates() const {
    const auto check = [&](std::vector<std::string_view> names) {
      std::sort(names.begin(), names.end());
      const auto twice = std::adjacent_find(names.begin(), names.end());
      if (twice != names.end()) refuse_header("each key once", "\"" + shown(*twice) + "\" twice");
    };
    std::vector<std::string_view> names;
    for (const auto& entry : header_.tensors) names.push_back(entry.name);
    check(std::move(names));
    std::vector<std::string_view> keys;
    for (const auto& [key, value] : header_.metadata) keys.push_back(key);
    check(std::move(keys));
  }

  const std::string& file_;
  std::string_view text_;
  size_t at_ = 0;
  SafetensorsHeader header_;
};

std::string offsets_text(const TensorEntry& entry) {
  return "[" + std::to_string(entry.begin) + ", " + std::to_string(entry.end) + "]";
}

void check_bytes(const std::string& file, const TensorEntry& entry) {
  int64_t bytes = static_cast<int64_t>(size_of(entry.dtype));
  bool fits = true;
  for (const int64_t size : entry.shape)
    fits = fits && !__builtin_mul_overflow(bytes, size, &bytes);
  const std::string shape = shape_text(entry.shape.data(), static_cast<int>(entry.shape.size())) +
                            " " + name_of(entry.dtype);
  const std::string name = shown(entry.name);
  if (!fits)
    refuse("ERR_CHECKPOINT", file.c_str(), name.c_str(), "a shape of less than 2^63 bytes", shape);
  if (entry.begin > entry.end)
    refuse("ERR_CHECKPOINT", file.c_str(), name.c_str(), "data_offsets that begin before they end",
           offsets_text(entry));
  if (entry.end - entry.begin != bytes)
    refuse(
        "ERR_CHECKPOINT", file.c_str(), name.c_str(), std::to_string(bytes) + " bytes for " + shape,
        std::to_string(entry.end - entry.begin) + " bytes in data_offsets " + offsets_text(entry));
}

}  // namespace

std::string shown(std::string_view name) {
  constexpr size_t kMost = 120;
  std::string text;
  for (const char c : name) {
    if (text.size() >= kMost && (c & 0xc0) != 0x80) return text + "...";
    const auto byte = static_cast<unsigned char>(c);
    text += byte < 0x20 || byte == 0x7f ? '?' : c;
  }
  return text;
}

SafetensorsHeader parse_safetensors_header(const std::string& file, std::string_view text,
                                           int64_t data_bytes) {
  const int64_t invalid = first_invalid_utf8(text);
  if (invalid >= 0)
    refuse("ERR_CHECKPOINT", file.c_str(), "header", "UTF-8",
           "an invalid sequence at byte " + std::to_string(invalid));
  SafetensorsHeader header = Parser(file, text).run();

  auto& tensors = header.tensors;
  for (const auto& entry : tensors) check_bytes(file, entry);
  std::sort(tensors.begin(), tensors.end(), [](const TensorEntry& a, const TensorEntry& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  int64_t filled = 0;
  for (const auto& entry : tensors) {
    if (entry.begin != filled)
      refuse("ERR_CHECKPOINT", file.c_str(), shown(entry.name).c_str(),
             "data from byte " + std::to_string(filled) + " on, without hole or overlap",
             "data_offsets " + offsets_text(entry));
    filled = entry.end;
    if (filled > data_bytes)
      refuse("ERR_CHECKPOINT", file.c_str(), shown(entry.name).c_str(),
             "data_offsets within the " + std::to_string(data_bytes) + " bytes of data",
             offsets_text(entry) + "; the file was cut, download it again");
  }
  if (filled != data_bytes)
    refuse("ERR_CHECKPOINT", file.c_str(), "header",
           "tensors that fill the " + std::to_string(data_bytes) + " bytes of data",
           std::to_string(filled) + " bytes");
  return header;
}

}  // namespace srpo::io
