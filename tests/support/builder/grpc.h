// grpc.h - one gRPC call on a unix socket, and the messages it carries: as much HTTP/2 and protobuf as buildctl needs.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace test_builder {

/// Sends `request` to `method` ("/package.Service/Name") of the server on `socket_path`; the messages of its answer, in
/// order. Throws std::exception if the server cannot be reached or answers with an error status.
std::vector<std::string> call(const std::string& socket_path, std::string_view method, std::string_view request);

/// A message being written, field by field. Zero values are left out, as proto3 does.
class MessageWriter {
 public:
  MessageWriter& add(unsigned number, std::int64_t value);
  MessageWriter& add(unsigned number, std::string_view bytes);

  [[nodiscard]] const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

/// One field of a message: a number, or bytes (text, or a message of its own).
struct Field {
  unsigned number = 0;
  std::int64_t value = 0;
  std::string_view bytes;
};

/// The fields of `message`, which must outlive them; throws std::runtime_error if it is cut short.
std::vector<Field> fields_of(std::string_view message);

}  // namespace test_builder
