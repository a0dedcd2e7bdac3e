#include "daemon/filesystems/stat_worker.h"

#include <exception>
#include <utility>

namespace buildwarden::disk {
namespace {

Result<PathStat> guarded(const ReadPathStat& read, const std::string& path) {
  try {
    return read(path);
  } catch (const std::exception& error) {
    return Error(Errc::kIo, error.what());
  }
}

}  // namespace

void StatWorker::begin(std::vector<std::string> paths, Now now, const boost::asio::any_io_executor& loop,
                       std::function<void()> done) {
  begun_ = now;
  auto ask_all = [read = read_, paths = std::move(paths)] {
    std::vector<PathAnswer> answers;
    for (const auto& path : paths) answers.push_back(PathAnswer{path, guarded(read, path)});
    return answers;
  };
  request_.begin(std::move(ask_all), loop, std::move(done));
}

std::vector<PathAnswer> StatWorker::collect() {
  auto answers = request_.collect();
  return answers ? *std::move(answers) : std::vector<PathAnswer>{};
}

}  // namespace buildwarden::disk
