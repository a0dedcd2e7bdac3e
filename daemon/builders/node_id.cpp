#include "daemon/builders/node_id.h"

#include <fcntl.h>
#include <nettle/hmac.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>

#include "common/atomic_file.h"
#include "common/format.h"
#include "common/unique_fd.h"

namespace buildwarden::builders {
namespace {

constexpr std::size_t kIdBytes = 8;

// kNotFound: there is none, or what is there is no secret.
Result<HostSecret> read_secret(const std::string& path) {
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW));
  if (!file.open()) return Error::from_errno(errno, format("read {}", path));
  struct stat info{};
  if (::fstat(file.get(), &info) != 0) return Error::from_errno(errno, format("look at {}", path));
  HostSecret secret{};
  const bool fits = S_ISREG(info.st_mode) && info.st_uid == ::geteuid() && (info.st_mode & 0077U) == 0 &&
                    info.st_size == static_cast<off_t>(secret.size());
  if (!fits) return Error(Errc::kNotFound, format("{} is no secret", path));
  const auto count = ::read(file.get(), secret.data(), secret.size());
  if (count < 0) return Error::from_errno(errno, format("read {}", path));
  if (static_cast<std::size_t>(count) != secret.size()) return Error(Errc::kIo, format("{} ends early", path));
  return secret;
}

Result<void> write_random(int file) {
  HostSecret secret{};
  if (::getrandom(secret.data(), secret.size(), 0) != static_cast<ssize_t>(secret.size())) {
    return Error::from_errno(errno, "random numbers");
  }
  const auto count = ::write(file, secret.data(), secret.size());
  if (count < 0) return Error::from_errno(errno, "write");
  if (static_cast<std::size_t>(count) != secret.size()) return Error(Errc::kIo, "write: no room for all of it");
  if (::fsync(file) != 0) return Error::from_errno(errno, "sync");
  return {};
}

Result<void> make_secret(const std::string& path) {
  std::string beside = path + ".XXXXXX";
  const UniqueFd file(::mkostemp(beside.data(), O_CLOEXEC));  // 0600
  if (!file.open()) return Error::from_errno(errno, format("create {}", beside));
  auto made = write_random(file.get());
  if (made && std::rename(beside.c_str(), path.c_str()) != 0) made = Error::from_errno(errno, "rename");
  if (!made) {
    ::unlink(beside.c_str());
    return std::move(made).with_context(format("make {}", path));
  }
  return {};
}

void add(hmac_sha256_ctx& context, std::string_view text) {
  std::array<std::uint8_t, 8> length{};
  auto rest = static_cast<std::uint64_t>(text.size());
  for (auto byte = length.rbegin(); byte != length.rend(); ++byte, rest >>= 8U) {
    *byte = static_cast<std::uint8_t>(rest & 0xffU);
  }
  ::hmac_sha256_update(&context, length.size(), length.data());
  const std::basic_string<std::uint8_t> bytes(text.begin(), text.end());
  ::hmac_sha256_update(&context, bytes.size(), bytes.data());
}

}  // namespace

Result<HostSecret> host_secret(const std::string& path) {
  auto secret = read_secret(path);
  if (secret || secret.error().code() != Errc::kNotFound) return secret;
  const auto folder_path = path.substr(0, path.rfind('/'));
  if (auto made = make_folders(folder_path, 0700); !made) return std::move(made).error();
  // Held until the return: who comes second finds the first one's secret.
  const UniqueFd folder(::open(folder_path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder.open() || ::flock(folder.get(), LOCK_EX) != 0) {
    return Error::from_errno(errno, format("lock {}", folder_path));
  }
  secret = read_secret(path);
  if (secret || secret.error().code() != Errc::kNotFound) return secret;
  if (auto made = make_secret(path); !made) return std::move(made).error();
  return read_secret(path);
}

std::string node_id(const HostSecret& secret, std::string_view pipeline, std::string_view checkout_path) {
  hmac_sha256_ctx context;
  ::hmac_sha256_set_key(&context, secret.size(), secret.data());
  add(context, pipeline);
  add(context, checkout_path);
  std::array<std::uint8_t, kIdBytes> digest{};
  ::hmac_sha256_digest(&context, digest.size(), digest.data());
  std::string id;
  for (const auto byte : digest) id += format("{:02x}", byte);
  return id;
}

}  // namespace buildwarden::builders
