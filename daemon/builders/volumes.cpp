#include "daemon/builders/volumes.h"

#include <sstream>

#include "common/atomic_file.h"
#include "common/format.h"

namespace buildwarden::builders {

Result<Volumes> read_volumes(const std::string& file) {
  const auto text = read_file(file);
  if (!text && text.error().code() == Errc::kNotFound) return Volumes{};
  if (!text) return text.error();
  Volumes volumes;
  std::istringstream in(*text);
  const bool read = static_cast<bool>(in >> volumes.in_use >> volumes.newest);
  if (!read || volumes.in_use < 1 || volumes.newest < volumes.in_use) {
    return Error(Errc::kProtocol, format("{} does not tell the builder's volume", file));
  }
  return volumes;
}

Result<void> write_volumes(const std::string& file, const Volumes& volumes) {
  if (volumes.newest <= 1) return {};
  return write_file_atomically(file, format("{} {}\n", volumes.in_use, volumes.newest));
}

}  // namespace buildwarden::builders
