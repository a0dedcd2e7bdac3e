#include "common/http_request.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <functional>
#include <memory>

#include "common/worker.h"

namespace buildwarden {
namespace asio = boost::asio;

namespace {

constexpr Bytes kFileChunk = 256 * kKiB;

bool is_one_line(std::string_view text) {
  return std::none_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20; });
}

// A unix socket has no name that its server would know.
std::string host_of(const std::string& where) {
  constexpr std::string_view kHttp = "http://";
  if (!where.starts_with(kHttp)) return "localhost";
  return where.substr(kHttp.size(), where.find('/', kHttp.size()) - kHttp.size());
}

// The request up to the empty line; kInvalid for what would break out of its line.
Result<std::string> head_of(const std::string& host, const HttpRequest& request, Bytes body_size) {
  if (!is_one_line(request.method + request.target) || request.target.find(' ') != std::string::npos) {
    return Error(Errc::kInvalid, "not a request target: \"" + request.target + "\"");
  }
  auto head = request.method + " " + request.target + " HTTP/1.1\r\nHost: " + host + "\r\nConnection: close\r\n";
  for (const auto& [name, value] : request.headers) {
    if (!is_one_line(name + value)) return Error(Errc::kInvalid, "not a header: \"" + name + "\"");
    head.append(name).append(": ").append(value).append("\r\n");
  }
  if (body_size > 0 || request.method != "GET") head += "Content-Length: " + std::to_string(body_size) + "\r\n";
  return head + "\r\n";
}

// A file that is read on a thread of its own, as a slow disk would hold up the loop.
class FileReader {
 public:
  FileReader() = default;
  ~FileReader() {
    if (file_ >= 0) ::close(file_);
  }
  FileReader(const FileReader&) = delete;
  FileReader& operator=(const FileReader&) = delete;

  Result<void> open(const std::string& path) {
    file_ = ::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (file_ < 0) return Error::from_errno(errno, "opening " + path);
    struct stat status{};
    if (::fstat(file_, &status) != 0) return Error::from_errno(errno, "reading " + path);
    if (!S_ISREG(status.st_mode)) return Error(Errc::kInvalid, path + " is not a file");
    size_ = status.st_size;
    return {};
  }

  [[nodiscard]] Bytes size() const { return size_; }

  // The bytes at `offset`, not beyond the size it had when it was opened.
  [[nodiscard]] Result<std::string> at(Bytes offset) const {
    std::string bytes(static_cast<std::size_t>(std::min(kFileChunk, size_ - offset)), '\0');
    const auto got = ::pread(file_, bytes.data(), bytes.size(), offset);
    if (got < 0) return Error::from_errno(errno, "reading the file to send");
    if (got == 0) return Error(Errc::kIo, "the file to send was truncated at " + std::to_string(offset) + " bytes");
    bytes.resize(static_cast<std::size_t>(got));
    return bytes;
  }

 private:
  int file_ = -1;
  Bytes size_ = 0;
};

asio::awaitable<Result<void>> send_file(HttpConnection& connection, std::shared_ptr<FileReader> file, Duration each) {
  WorkerPool thread(1);
  Bytes sent = 0;
  while (sent < file->size()) {
    std::function<Result<std::string>()> read = [file, sent] { return file->at(sent); };
    auto chunk = co_await thread.compute<std::string>(read, each);
    if (!chunk) co_return std::move(chunk).error();
    auto written = co_await connection.write(*chunk);
    if (!written) co_return written;
    sent += static_cast<Bytes>(chunk->size());
  }
  co_return Result<void>{};
}

}  // namespace

asio::awaitable<Result<void>> send_request(HttpConnection& connection, std::string path, HttpRequest request,
                                           Duration deadline) {
  auto file = std::make_shared<FileReader>();
  if (!request.body_file.empty()) {
    auto opened = file->open(request.body_file);
    if (!opened) co_return opened;
  }
  const auto body_size = request.body_file.empty() ? static_cast<Bytes>(request.body.size()) : file->size();
  const auto head = head_of(host_of(path), request, body_size);
  if (!head) co_return head.error();
  auto connected = co_await connection.connect(std::move(path));
  if (!connected) co_return connected;
  auto sent = co_await connection.write(*head);
  if (!sent) co_return sent;
  // Not `?:`: GCC 12 destroys the value of an awaited operand twice.
  if (request.body_file.empty()) {
    sent = co_await connection.write(request.body);
  } else {
    sent = co_await send_file(connection, file, deadline);
  }
  if (!sent && sent.error().code() != Errc::kUnavailable) co_return sent;
  co_return Result<void>{};
}

}  // namespace buildwarden
