#include "grpc.h"

#include <algorithm>
#include <cstddef>
#include <stdexcept>
#include <utility>

#include "streams.h"

namespace test_builder {
namespace {

// ---- HTTP/2 (RFC 9113): one stream, windows opened wide at the start so that none has to be given back later.

constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
constexpr std::size_t kFrameHead = 9;
constexpr std::size_t kMessageHead = 5;  // gRPC: compressed flag, length
constexpr std::uint32_t kMaxWindow = 0x7fffffff;
constexpr std::uint32_t kDefaultWindow = 65535;
constexpr std::uint32_t kStream = 1;
constexpr std::uint8_t kEndStream = 0x1;
constexpr std::uint8_t kAck = 0x1;
constexpr std::uint8_t kEndHeaders = 0x4;

enum class FrameType : std::uint8_t {
  kData = 0,
  kHeaders = 1,
  kReset = 3,
  kSettings = 4,
  kPing = 6,
  kGoAway = 7,
  kWindowUpdate = 8
};

struct Frame {
  FrameType type = FrameType::kData;
  std::uint8_t flags = 0;
  std::uint32_t stream = 0;
  std::string payload;
};

std::string big_endian(std::uint32_t value, int bytes) {
  std::string text;
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) {
    text.push_back(static_cast<char>(value >> shift & 0xff));
  }
  return text;
}

std::uint32_t from_big_endian(std::string_view bytes) {
  std::uint32_t value = 0;
  for (const char byte : bytes) {
    value = value << 8 | static_cast<unsigned char>(byte);
  }
  return value;
}

std::string encode(const Frame& frame) {
  return big_endian(static_cast<std::uint32_t>(frame.payload.size()), 3) + static_cast<char>(frame.type) +
         static_cast<char>(frame.flags) + big_endian(frame.stream, 4) + frame.payload;
}

/// HPACK (RFC 7541): names from the static table, every value literal and not indexed.
std::string literal(std::string_view text) { return static_cast<char>(text.size()) + std::string(text); }

std::string request_headers(std::string_view method) {
  std::string block = "\x83\x86";                     // :method POST, :scheme http
  block += "\x04" + literal(method);                  // :path
  block += "\x01" + literal("localhost");             // :authority
  block += "\x0f\x10" + literal("application/grpc");  // content-type
  block += std::string(1, '\0') + literal("te") + literal("trailers");
  return block;
}

std::string opening(std::string_view method, std::string_view request) {
  const std::string settings = big_endian(2, 2) + big_endian(0, 4) +          // no push
                               big_endian(4, 2) + big_endian(kMaxWindow, 4);  // window of each stream
  std::string message = '\0' + big_endian(static_cast<std::uint32_t>(request.size()), 4);
  message += request;
  return std::string(kPreface) + encode({FrameType::kSettings, 0, 0, settings}) +
         encode({FrameType::kWindowUpdate, 0, 0, big_endian(kMaxWindow - kDefaultWindow, 4)}) +
         encode({FrameType::kHeaders, kEndHeaders, kStream, request_headers(method)}) +
         encode({FrameType::kData, kEndStream, kStream, message});
}

/// The status in a block of trailers. gRPC servers in Go send the name Huffman-coded and the number as plain text; a
/// full HPACK decoder would be longer than all the rest here.
std::string_view status_in(std::string_view trailers) {
  constexpr std::string_view kName = "\x9a\xca\xc8\xb2\x12\x34\xda\x8f";
  const std::size_t at = trailers.find(kName);
  if (at == std::string_view::npos || at + kName.size() + 1 >= trailers.size()) {
    return {};
  }
  const auto length = static_cast<unsigned char>(trailers[at + kName.size()]);
  return trailers.substr(at + kName.size() + 1, length & 0x7fU);
}

/// One call: frames in, messages out.
class Call {
 public:
  explicit Call(Descriptor socket) : socket_(std::move(socket)) {}

  std::vector<std::string> run(std::string_view method, std::string_view request) {
    send(opening(method, request));
    while (!finished_) {
      handle(next_frame());
    }
    return split_messages();
  }

 private:
  void send(const std::string& bytes) const {
    if (!write_all(socket_.get(), bytes)) {
      throw std::runtime_error("the builder hung up");
    }
  }

  void need(std::size_t size) {
    while (buffer_.size() < size) {
      if (!read_some(socket_.get(), buffer_)) {
        throw std::runtime_error("the builder hung up");
      }
    }
  }

  Frame next_frame() {
    need(kFrameHead);
    const std::string_view head = buffer_;
    const std::size_t length = from_big_endian(head.substr(0, 3));
    Frame frame{
        static_cast<FrameType>(head[3]), static_cast<std::uint8_t>(head[4]), from_big_endian(head.substr(5, 4)), {}};
    need(kFrameHead + length);
    frame.payload = buffer_.substr(kFrameHead, length);
    buffer_.erase(0, kFrameHead + length);
    return frame;
  }

  void handle(const Frame& frame) {
    const bool acknowledged = (frame.flags & kAck) != 0;
    switch (frame.type) {
      case FrameType::kData: data_ += frame.payload; break;
      case FrameType::kHeaders: finish_if_last(frame); break;
      case FrameType::kSettings:
        if (!acknowledged) {
          send(encode({FrameType::kSettings, kAck, 0, {}}));
        }
        break;
      case FrameType::kPing:
        if (!acknowledged) {
          send(encode({FrameType::kPing, kAck, 0, frame.payload}));
        }
        break;
      case FrameType::kReset:
      case FrameType::kGoAway: throw std::runtime_error("the builder broke the call off");
      default: break;
    }
  }

  void finish_if_last(const Frame& frame) {
    if ((frame.flags & kEndStream) == 0) {
      return;
    }
    if (const std::string_view status = status_in(frame.payload); status != "0") {
      throw std::runtime_error("the builder answered with gRPC status " +
                               std::string(status.empty() ? "unknown" : status));
    }
    finished_ = true;
  }

  [[nodiscard]] std::vector<std::string> split_messages() const {
    std::vector<std::string> messages;
    std::string_view rest = data_;
    while (rest.size() >= kMessageHead) {
      const std::size_t length = from_big_endian(rest.substr(1, 4));
      messages.emplace_back(rest.substr(kMessageHead, length));
      rest.remove_prefix(std::min(rest.size(), kMessageHead + length));
    }
    return messages;
  }

  Descriptor socket_;
  std::string buffer_;
  std::string data_;
  bool finished_ = false;
};

// ---- protobuf

constexpr unsigned kVarint = 0;
constexpr unsigned kFixed64 = 1;
constexpr unsigned kBytes = 2;
constexpr unsigned kFixed32 = 5;

std::string varint(std::uint64_t value) {
  std::string text;
  for (; value >= 0x80; value >>= 7) {
    text.push_back(static_cast<char>(0x80 | (value & 0x7f)));
  }
  text.push_back(static_cast<char>(value));
  return text;
}

std::string_view take(std::string_view& message, std::size_t size) {
  if (size > message.size()) {
    throw std::runtime_error("a message of the builder is cut short");
  }
  const std::string_view taken = message.substr(0, size);
  message.remove_prefix(size);
  return taken;
}

std::uint64_t take_varint(std::string_view& message) {
  std::uint64_t value = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    const auto byte = static_cast<unsigned char>(take(message, 1).front());
    value |= std::uint64_t{byte & 0x7fU} << shift;
    if ((byte & 0x80U) == 0) {
      return value;
    }
  }
  throw std::runtime_error("a message of the builder holds an endless number");
}

Field take_field(std::string_view& message) {
  const std::uint64_t key = take_varint(message);
  Field field{static_cast<unsigned>(key >> 3), 0, {}};
  switch (static_cast<unsigned>(key & 7)) {
    case kVarint: field.value = static_cast<std::int64_t>(take_varint(message)); break;
    case kBytes: field.bytes = take(message, take_varint(message)); break;
    case kFixed64: take(message, 8); break;
    case kFixed32: take(message, 4); break;
    default: throw std::runtime_error("a message of the builder holds a field of an unknown kind");
  }
  return field;
}

}  // namespace

std::vector<std::string> call(const std::string& socket_path, std::string_view method, std::string_view request) {
  return Call(dial(socket_path)).run(method, request);
}

MessageWriter& MessageWriter::add(unsigned number, std::int64_t value) {
  if (value != 0) {
    bytes_ += varint(number << 3 | kVarint) + varint(static_cast<std::uint64_t>(value));
  }
  return *this;
}

MessageWriter& MessageWriter::add(unsigned number, std::string_view bytes) {
  bytes_ += varint(number << 3 | kBytes) + varint(bytes.size());
  bytes_ += bytes;
  return *this;
}

std::vector<Field> fields_of(std::string_view message) {
  std::vector<Field> fields;
  while (!message.empty()) {
    fields.push_back(take_field(message));
  }
  return fields;
}

}  // namespace test_builder
